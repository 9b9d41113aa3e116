#include "invp/run/shared_batches.h"

#include <string>
#include <utility>
#include <vector>

#include "engine/comm/gather.h"
#include "engine/core/stop.h"

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

// Each is three texts: its number, its name, the reason. Ranks come in the order of their rows.
void SharedBatches::share_bad(const std::vector<BadImage>& images,
                              const std::vector<std::int64_t>& indices) {
  std::vector<std::string> mine;
  for (; told_ < images.size(); ++told_) {
    const BadImage& image = images[told_];
    mine.insert(mine.end(), {std::to_string(indices[told_]), image.file, image.reason});
  }
  for (const std::string& of_rank :
       gather_text(*ranks_.communicator, "unreadable images", packed(mine))) {
    const std::vector<std::string> texts = unpacked(of_rank);
    for (std::size_t i = 0; i < texts.size(); i += 3)
      bad_.add(std::stoll(texts[i]), {texts[i + 1], texts[i + 2]});
  }
  bad_.check();
}

void SharedBatches::remember_bad(const std::vector<std::int64_t>& indices) {
  own_.remember_bad(indices);
  const std::vector<BadImage> images = own_.bad_images();
  const std::vector<std::int64_t> known = own_.bad_indices();
  for (; told_ < images.size(); ++told_) bad_.add(known[told_], images[told_]);
}

}  // namespace invp
