#include "invp/run/shared_batches.h"

#include <utility>
#include <vector>

#include "engine/core/stop.h"
#include "invp/run/bad_of_ranks.h"

namespace invp {

SharedBatches::SharedBatches(const RunRanks& ranks, BatchSource& own, double max_bad_share,
                             std::function<bool()> stop)
    : ranks_(ranks),
      own_(own),
      stop_(std::move(stop)),
      bad_("[loader]", max_bad_share, own.images_per_epoch()) {}

std::optional<Batch> SharedBatches::next() {
  while (std::optional<Batch> batch = own_.next()) {
    const std::vector<BadImage> bad = own_.bad_images();
    const StepTicket total =
        exchange_tickets(ranks_, {.step = ++tickets_,
                                  .images = std::ssize(batch->indices),
                                  .bad = static_cast<std::int64_t>(bad.size() - told_),
                                  .stop = stop_()});
    if (total.stop) throw Stopped{stop_signal()};
    if (total.bad > 0) share_bad(bad, own_.bad_indices());
    if (total.images == 0) continue;
    batch->total = total.images;
    return batch;
  }
  return std::nullopt;
}

// Ranks come in the order of their rows.
void SharedBatches::share_bad(const std::vector<BadImage>& images,
                              const std::vector<std::int64_t>& indices) {
  std::vector<BadOfRank> mine;
  for (; told_ < images.size(); ++told_) mine.emplace_back(indices[told_], images[told_]);
  for (const auto& [index, image] : gather_bad(*ranks_.communicator, mine)) bad_.add(index, image);
  bad_.check();
}

void SharedBatches::remember_bad(const std::vector<std::int64_t>& indices) {
  own_.remember_bad(indices);
  const std::vector<BadImage> images = own_.bad_images();
  const std::vector<std::int64_t> known = own_.bad_indices();
  for (; told_ < images.size(); ++told_) bad_.add(known[told_], images[told_]);
}

}  // namespace invp
