#include "invp/run/shared_batches.h"

#include <utility>
#include <vector>

#include "engine/comm/gather.h"
#include "engine/core/stop.h"
#include "invp/run/bad_of_ranks.h"

namespace invp {

std::vector<std::int64_t> images_of_ranks(const Batch& batch, int groups, Communicator& ranks) {
  const int size = ranks.ranks().size;
  if (size == 1) return {std::ssize(batch.indices)};
  CHECK(batch.planned > 0 && batch.total > 0, "[batch] a batch for one rank, not for ", size);
  if (batch.total < batch.planned)
    return gather_numbers(ranks, "images of each rank", std::ssize(batch.indices));
  std::vector<std::int64_t> counts;
  for (int rank = 0; rank < size; ++rank) {
    const BatchPart part = share_of_rank(groups, {.rank = rank, .size = size});
    counts.push_back(part.rows(batch.planned).count());
  }
  return counts;
}

SharedBatches::SharedBatches(const RunRanks& ranks, BatchSource& own, double max_bad_share,
                             TicketTalk talk)
    : ranks_(ranks),
      own_(own),
      talk_(std::move(talk)),
      bad_("[loader]", max_bad_share, own.images()) {}

std::optional<Batch> SharedBatches::next() {
  save_first_ = false;
  while (std::optional<Batch> batch = own_.next()) {
    const double waited = std::exchange(waited_, own_.wait_seconds());
    const std::vector<BadImage> bad = own_.bad_images();
    const StepTicket total =
        exchange_tickets(ranks_, {.step = ++tickets_,
                                  .images = std::ssize(batch->indices),
                                  .bad = static_cast<std::int64_t>(bad.size() - told_),
                                  .stop = talk_.stop(),
                                  .save = talk_.save(),
                                  .data_wait = waited_ - waited});
    if (!total.note.empty()) talk_.tell(total.note);
    save_first_ = save_first_ || total.save;
    if (total.stop) throw Stopped{stop_signal()};
    if (total.bad > 0) share_bad(bad, own_.bad_places());
    if (total.images == 0) continue;
    batch->total = total.images;
    return batch;
  }
  return std::nullopt;
}

// Ranks come in the order of their rows.
void SharedBatches::share_bad(const std::vector<BadImage>& images,
                              const std::vector<BadPlace>& places) {
  std::vector<BadOfRank> mine;
  for (; told_ < images.size(); ++told_) mine.emplace_back(places[told_].index, images[told_]);
  for (const auto& [index, image] : gather_bad(*ranks_.communicator, mine)) bad_.add(index, image);
  bad_.check();
}

void SharedBatches::remember_bad(const std::vector<BadPlace>& places) {
  own_.remember_bad(places);
  const std::vector<BadImage> images = own_.bad_images();
  const std::vector<BadPlace> known = own_.bad_places();
  for (; told_ < images.size(); ++told_) bad_.add(known[told_].index, images[told_]);
}

}  // namespace invp
