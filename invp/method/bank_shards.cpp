#include "invp/method/bank_shards.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "engine/autograd/accumulate.h"
#include "engine/comm/gather.h"
#include "engine/comm/host.h"
#include "engine/core/memory.h"
#include "engine/core/rows.h"
#include "engine/ops/search/bank_rows.h"

namespace invp {

namespace {

/// `rows` rows, those beyond the ones of `x` -1 in lists of rows, and 0 else.
Tensor filled_up(const Tensor& x, std::int64_t rows) {
  if (x.dim(0) == rows) return x;
  const Tensor filled = Tensor::empty(with_rows(x.shape(), rows), x.dtype(), x.device());
  fill_bytes(filled.raw(), x.dtype() == DType::kI32 ? 0xFF : 0, filled.nbytes(), x.device());
  if (x.dim(0) > 0) filled.slice(0, x.dim(0)).copy_from(x);
  return filled;
}

/// (b, w) as (b, width), -1 in the columns that are new; the similarities there are of no rows.
TopSimilar widened(const TopSimilar& top, std::int64_t width) {
  const std::int64_t batch = top.rows.dim(0);
  const std::int64_t held = top.rows.dim(1);
  if (held == width) return top;
  const Device device = top.rows.device();
  const TopSimilar wide{Tensor::empty({batch, width}, DType::kI32, device),
                        Tensor::zeros({batch, width}, DType::kF32, device)};
  fill_bytes(wide.rows.raw(), 0xFF, wide.rows.nbytes(), device);
  const auto copy = [&](const Tensor& to, const Tensor& from) {
    const Tensor flat = to.view({batch * width});
    const Tensor source = from.view({batch * held});
    for (std::int64_t i = 0; i < batch; ++i)
      flat.slice(i * width, i * width + held).copy_from(source.slice(i * held, (i + 1) * held));
  };
  if (held > 0) copy(wide.rows, top.rows), copy(wide.similarities, top.similarities);
  return wide;
}

TopSimilar nothing(std::int64_t queries, Device device) {
  return {Tensor::empty({queries, 0}, DType::kI32, device),
          Tensor::empty({queries, 0}, DType::kF32, device)};
}

/// As many of the best as compare with a query, for NaN in the query or in the shard leaves fewer.
TopSimilar as_many_as_there_are(const Tensor& query, const Tensor& rows, std::int64_t width) {
  std::int64_t some = 0;
  TopSimilar best = nothing(1, query.device());
  for (std::int64_t too_many = width + 1; some + 1 < too_many;) {
    const std::int64_t middle = (some + too_many) / 2;
    try {
      best = top_similar(query, rows, middle);
      some = middle;
    } catch (const Error&) {
      too_many = middle;
    }
  }
  return widened(best, width);
}

/// The shard's best `width` rows for each query, -1 where it has no more.
TopSimilar answers(const Tensor& rows, const Tensor& queries, std::int64_t width) {
  if (rows.dim(0) == 0) return widened(nothing(queries.dim(0), queries.device()), width);
  try {
    return widened(top_similar(queries, rows, width), width);
  } catch (const Error&) {
    if (queries.device() != kCpu) throw;
  }
  const std::int64_t held = std::min(width, rows.dim(0));
  const TopSimilar all = widened(nothing(queries.dim(0), kCpu), width);
  for (std::int64_t i = 0; i < queries.dim(0); ++i) {
    const TopSimilar best = as_many_as_there_are(queries.slice(i, i + 1), rows, held);
    const TopSimilar wide = widened(best, width);
    all.rows.slice(i, i + 1).copy_from(wide.rows);
    all.similarities.slice(i, i + 1).copy_from(wide.similarities);
  }
  return all;
}

/// A place in the order of the search: the more similar first, of equals the lower row.
struct Place {
  float similarity;
  std::int64_t row;
  bool before(const Place& other) const {
    return similarity > other.similarity || (similarity == other.similarity && row < other.row);
  }
};

Place last_of(std::span<const std::int32_t> rows, std::span<const float> similarities,
              std::int64_t factor, std::int64_t offset) {
  Place last{similarities.front(), rows.front() * factor + offset};
  for (std::size_t i = 1; i < rows.size(); ++i) {
    const Place place{similarities[i], rows[i] * factor + offset};
    if (last.before(place)) last = place;
  }
  return last;
}

/// Whether a shard may hold more of the best of one of the first `queries` than it sent: it has
/// rows that it did not send, and the last that it sent comes before the last of the best.
bool uncertain(const TopSimilar& sent, const TopSimilar& best, std::int64_t queries) {
  const std::int64_t shards = sent.rows.dim(0);
  const std::int64_t batch = sent.rows.dim(1);
  const std::int64_t width = sent.rows.dim(2);
  const Tensor rows = sent.rows.view({shards * batch, width});
  const Tensor similarities = sent.similarities.view({shards * batch, width});
  for (std::int64_t i = 0; i < queries; ++i) {
    const auto best_rows = row_of<std::int32_t>(best.rows, i);
    const bool too_few = best_rows.front() < 0;
    const Place last = last_of(best_rows, row_of<float>(best.similarities, i), 1, 0);
    for (std::int64_t s = 0; s < shards; ++s) {
      const auto of_shard = row_of<std::int32_t>(rows, s * batch + i);
      if (of_shard.back() < 0) continue;  // all that compare
      const auto similar = row_of<float>(similarities, s * batch + i);
      if (too_few || last_of(of_shard, similar, shards, s).before(last)) return true;
    }
  }
  return false;
}

}  // namespace

std::int64_t answers_of_shard(std::int64_t count, int shards, std::int64_t queries) {
  constexpr double kFailures = 1e-9;
  const double mean = static_cast<double>(count) / shards;
  const double allowed = kFailures / (static_cast<double>(shards) * static_cast<double>(queries));
  // From where nothing is left downwards, so that small terms are added first.
  auto k = static_cast<std::int64_t>(mean + 14 * std::sqrt(mean) + 60);
  double more_than_k = 0;
  for (; k > 0; --k) {
    const auto term = static_cast<double>(k);
    more_than_k += std::exp(term * std::log(mean) - mean - std::lgamma(term + 1));
    if (more_than_k > allowed) break;
  }
  return std::clamp<std::int64_t>(k, 1, count);
}

BankShards::BankShards(std::shared_ptr<Communicator> ranks, std::int64_t images)
    : ranks_(std::move(ranks)),
      shard_{.index = ranks_->ranks().rank, .count = ranks_->ranks().size},
      images_(images) {}

std::int64_t BankShards::rounds(std::int64_t queries, std::int64_t block) {
  const std::int64_t most = std::ranges::max(gather_numbers(*ranks_, "queries to come", queries));
  expect(std::min(most, block));
  return (most + block - 1) / block;
}

/// (b, ...) of each rank, filled up, as (S p, ...), p being the most that any rank has.
Tensor BankShards::gather(const char* name, const Tensor& mine) const {
  const std::int64_t most = shard_.count == 1 ? mine.dim(0) : most_queries_;
  CHECK(mine.dim(0) <= most, "[bank] ", mine.dim(0), " queries of a rank, where ", most,
        " are expected at most");
  const Tensor all =
      Tensor::empty(with_rows(mine.shape(), shard_.count * most), mine.dtype(), mine.device());
  ranks_->all_gather(name, filled_up(mine, most), all);
  return all;
}

/// What this shard says of all queries, to the ranks that asked: (S p, ...) -> (S p, ...), what
/// each shard says of this rank's p queries.
Tensor BankShards::exchange(const char* name, const Tensor& answers) const {
  const Tensor got = Tensor::empty_like(answers);
  ranks_->all_to_all(name, got, answers);
  return got;
}

/// The same where one shard has the answer and the others say 0: (S p, ...) -> (queries, ...).
Tensor BankShards::own_answers(const char* name, const Tensor& answers,
                               std::int64_t queries) const {
  const Tensor got = exchange(name, answers);
  const std::int64_t most = got.dim(0) / shard_.count;
  const Tensor sum = got.slice(0, queries);
  if (queries == 0) return sum;
  for (std::int64_t s = 1; s < shard_.count; ++s)
    accumulate(sum, got.slice(s * most, s * most + queries));
  return sum;
}

bool BankShards::any_rank(bool uncertain) const {
  const Tensor flag = Tensor::from(std::vector<std::int64_t>{uncertain ? 1 : 0}, {1});
  ranks_->all_reduce("is the search certain", flag, Reduction::kMax);
  return flag.span<std::int64_t>().front() != 0;
}

// On a GPU, where the host cannot look at the answers of a step that is replayed, shards send all
// that may be needed at once.
TopSimilar BankShards::search(const Tensor& rows, const Tensor& queries, std::int64_t count) const {
  const std::int64_t batch = queries.dim(0);
  const std::int64_t wanted = std::min(count, images_);
  const std::int64_t all_needed = std::min(wanted, Shard{0, shard_.count}.rows_of(images_));
  const Tensor asked = gather("queries", queries);
  const std::int64_t most = asked.dim(0) / shard_.count;
  std::int64_t width = all_needed;
  if (rows.device() == kCpu)
    width = std::min(width, answers_of_shard(wanted, shard_.count, asked.dim(0)));
  while (true) {
    const TopSimilar mine = answers(rows, asked, width);
    const Shape shape{shard_.count, most, width};
    const TopSimilar got{exchange("rows found", mine.rows).view(shape),
                         exchange("similarities found", mine.similarities).view(shape)};
    const TopSimilar best = merge_similar(got.rows, got.similarities, wanted, images_);
    if (width == all_needed || !any_rank(uncertain(got, best, batch)))
      return {best.rows.slice(0, batch), best.similarities.slice(0, batch)};
    ++repaired_;
    width = all_needed;
  }
}

Tensor BankShards::similarities(const Tensor& rows, const Tensor& queries,
                                const Tensor& images) const {
  const Tensor own = rows_in_shard(gather("images asked for", images), shard_);
  const Tensor found = row_similarities(gather("queries", queries), rows, own);
  return own_answers("similarities", found, images.dim(0));
}

void BankShards::add_weighted(const Tensor& rows, const Tensor& total, const Tensor& images,
                              const Tensor& weights) const {
  const Tensor own = rows_in_shard(gather("images weighted", images), shard_);
  const Tensor sums = exchange("weighted rows", weigh_rows(rows, own, gather("weights", weights)));
  const std::int64_t most = sums.dim(0) / shard_.count;
  const Tensor all = filled_up(total, most);
  add_weighed(all, sums.view({shard_.count, most, sums.dim(1)}));
  if (!all.same_as(total) && total.dim(0) > 0) total.copy_from(all.slice(0, total.dim(0)));
}

Tensor BankShards::take(const Tensor& rows, const Tensor& images) const {
  const Tensor own = rows_in_shard(gather("images asked for", images), shard_);
  return own_answers("rows", take_rows(rows, own), images.dim(0));
}

void BankShards::update(const Tensor& rows, const Tensor& images, const Tensor& embeddings,
                        float momentum, const Tensor& halted) const {
  blend_rows(rows, rows_in_shard(images, shard_), embeddings, momentum, halted);
}

std::shared_ptr<Communicator> ranks_of_machine(Communicator& ranks) {
  const std::vector<std::string> hosts = gather_text(ranks, "hosts", host_name());
  const std::string& own = hosts[static_cast<std::size_t>(ranks.ranks().rank)];
  return ranks.split(static_cast<int>(std::ranges::find(hosts, own) - hosts.begin()));
}

}  // namespace invp
