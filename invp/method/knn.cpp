#include "invp/method/knn.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/core/parallel.h"
#include "engine/core/stop.h"

namespace invp {

namespace {

/// Queries per search: many, so that the bank is read rarely, but few enough for the L2 cache.
constexpr std::int64_t kBlock = 512;

std::int64_t class_count(std::span<const std::int64_t> labels, const KnnConfig& config) {
  CHECK(config.k >= 1, "[knn] k must be at least 1, got ", config.k);
  CHECK(!config.taus.empty(), "[knn] needs at least one tau");
  for (const double tau : config.taus) CHECK(tau > 0, "[knn] tau must be positive, got ", tau);
  CHECK(!labels.empty(), "[knn] the bank is empty");
  const auto [least, most] = std::ranges::minmax(labels);
  const std::int64_t classes = config.classes > 0 ? config.classes : most + 1;
  CHECK(least >= 0 && most < classes, "[knn] labels reach from ", least, " to ", most,
        ", but there are ", classes, " classes");
  return classes;
}

/// How many classes come before `label` in the order of their scores.
std::int64_t rank_of(std::int64_t label, std::span<const float> scores) {
  const float own = scores[static_cast<std::size_t>(label)];
  std::int64_t before = 0;
  for (std::int64_t c = 0; c < std::ssize(scores); ++c) {
    const float score = scores[static_cast<std::size_t>(c)];
    before += score > own || (score == own && c < label) ? 1 : 0;
  }
  return before;
}

/// The most similar rows of a block of queries, on the host.
struct Voters {
  std::int64_t k = 0;
  std::vector<std::int32_t> rows;  ///< k per query, ascending
  std::vector<float> similarities;
};

Voters find_voters(const Tensor& queries, const MemoryBank& bank, std::int64_t k) {
  const TopSimilar top = bank.search(queries.to(bank.device()), k);
  const Tensor rows = top.rows.to(kCpu);
  const Tensor similarities = top.similarities.to(kCpu);
  Voters voters{
      .k = rows.dim(1),
      .rows = {rows.span<std::int32_t>().begin(), rows.span<std::int32_t>().end()},
      .similarities = {similarities.span<float>().begin(), similarities.span<float>().end()}};
  for (std::int64_t i = 0; i < rows.dim(0); ++i) {
    CHECK(voters.rows[static_cast<std::size_t>(i * voters.k)] >= 0, "[knn] query ", i,
          " has fewer than ", voters.k,
          " similarities that are numbers: NaN in the query or in the bank");
  }
  return voters;
}

/// The k most similar of each query's voters: what a search for k would have found.
Voters fewer(const Voters& voters, std::int64_t k) {
  if (k >= voters.k) return voters;
  const auto queries = std::ssize(voters.rows) / voters.k;
  Voters best{.k = k, .rows = {}, .similarities = {}};
  best.rows.resize(static_cast<std::size_t>(queries * k));
  best.similarities.resize(best.rows.size());
  parallel_for(0, queries, 16, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(voters.k));
    for (std::int64_t i = begin; i < end; ++i) {
      const float* similarity = voters.similarities.data() + i * voters.k;
      std::iota(order.begin(), order.end(), 0);
      // Rows ascend, so of equals the earlier is the lower.
      std::ranges::nth_element(order, order.begin() + k, [&](std::int64_t a, std::int64_t b) {
        return similarity[a] != similarity[b] ? similarity[a] > similarity[b] : a < b;
      });
      std::sort(order.begin(), order.begin() + k);
      for (std::int64_t j = 0; j < k; ++j) {
        const std::int64_t from = i * voters.k + order[static_cast<std::size_t>(j)];
        const auto to = static_cast<std::size_t>(i * k + j);
        best.rows[to] = voters.rows[static_cast<std::size_t>(from)];
        best.similarities[to] = voters.similarities[static_cast<std::size_t>(from)];
      }
    }
  });
  return best;
}

/// The scores (taus, queries, classes).
Tensor count_votes(const Voters& voters, std::span<const std::int64_t> labels,
                   std::span<const double> taus, std::int64_t classes) {
  const std::int64_t k = voters.k;
  const auto batch = std::ssize(voters.rows) / k;
  const Tensor scores = Tensor::zeros({std::ssize(taus), batch, classes});
  constexpr std::int64_t kGrain = 16;
  parallel_for(0, batch, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int32_t* row = voters.rows.data() + i * k;
      const float* similarity = voters.similarities.data() + i * k;
      const float highest = *std::max_element(similarity, similarity + k);
      for (std::size_t t = 0; t < taus.size(); ++t) {
        float* score = scores.data<float>() + (static_cast<std::int64_t>(t) * batch + i) * classes;
        for (std::int64_t j = 0; j < k; ++j) {
          const double vote = std::exp((static_cast<double>(similarity[j]) - highest) / taus[t]);
          score[labels[static_cast<std::size_t>(row[j])]] += static_cast<float>(vote);
        }
      }
    }
  });
  return scores;
}

/// Adds the block's hits to the accuracy of each tau.
void judge(const Tensor& scores, std::span<const std::int64_t> truth,
           std::span<KnnAccuracy> accuracy) {
  const std::int64_t classes = scores.dim(2);
  for (std::size_t t = 0; t < accuracy.size(); ++t) {
    for (std::size_t i = 0; i < truth.size(); ++i) {
      CHECK(truth[i] >= 0 && truth[i] < classes, "[knn] query label ", truth[i], " of ", classes,
            " classes");
      const std::size_t offset = (t * truth.size() + i) * static_cast<std::size_t>(classes);
      const std::int64_t rank = rank_of(
          truth[i], scores.span<float>().subspan(offset, static_cast<std::size_t>(classes)));
      accuracy[t].hits1 += rank < 1 ? 1 : 0;
      accuracy[t].hits5 += rank < 5 ? 1 : 0;
    }
  }
}

}  // namespace

Tensor knn_scores(const Tensor& queries, const MemoryBank& bank,
                  std::span<const std::int64_t> labels, const KnnConfig& config) {
  const std::int64_t classes = class_count(labels, config);
  CHECK(std::ssize(labels) == bank.size(), "[knn] ", labels.size(), " labels for a bank of ",
        bank.size(), " rows");
  return count_votes(find_voters(queries, bank, config.k), labels, config.taus, classes);
}

std::vector<KnnAccuracy> knn_classify(const Tensor& queries,
                                      std::span<const std::int64_t> query_labels,
                                      const MemoryBank& bank, std::span<const std::int64_t> labels,
                                      const KnnConfig& config) {
  const std::int64_t k = config.k;
  return knn_classify_each(queries, query_labels, bank, labels, {&k, 1}, config).front();
}

std::vector<std::vector<KnnAccuracy>> knn_classify_each(const Tensor& queries,
                                                        std::span<const std::int64_t> query_labels,
                                                        const MemoryBank& bank,
                                                        std::span<const std::int64_t> labels,
                                                        std::span<const std::int64_t> ks,
                                                        const KnnConfig& config) {
  CHECK(queries.rank() == 2 && queries.dim(0) == std::ssize(query_labels) &&
            (bank.shards() != nullptr || !query_labels.empty()),
        "[knn] ", query_labels.size(), " labels for queries ", queries.shape());
  CHECK(!ks.empty(), "[knn] needs at least one k");
  const auto [least, most] = std::ranges::minmax(ks);
  CHECK(least >= 1, "[knn] k must be at least 1, got ", least);
  const std::int64_t classes = class_count(labels, config);
  CHECK(std::ssize(labels) == bank.size(), "[knn] ", labels.size(), " labels for a bank of ",
        bank.size(), " rows");
  const std::int64_t count = queries.dim(0);
  std::vector<std::vector<KnnAccuracy>> accuracy(ks.size(),
                                                 std::vector<KnnAccuracy>(config.taus.size()));
  for (std::int64_t round = 0, rounds = bank.rounds(count, kBlock); round < rounds; ++round) {
    check_stop();
    const std::int64_t begin = std::min(round * kBlock, count);
    const std::int64_t end = std::min(begin + kBlock, count);
    const Voters voters = find_voters(queries.slice(begin, end), bank, most);
    if (begin == end) continue;
    for (std::size_t i = 0; i < ks.size(); ++i) {
      judge(count_votes(fewer(voters, ks[i]), labels, config.taus, classes),
            query_labels.subspan(static_cast<std::size_t>(begin),
                                 static_cast<std::size_t>(end - begin)),
            accuracy[i]);
    }
  }
  for (std::vector<KnnAccuracy>& of_k : accuracy) {
    for (KnnAccuracy& result : of_k) result.of(count);
  }
  return accuracy;
}

}  // namespace invp
