#include "invp/run/data_wait.h"

#include <cmath>

#include "engine/core/cpu_share.h"
#include "engine/core/error.h"

namespace invp {

DataWait reading_of(const Dataset& dataset, int workers) {
  return {.workers = workers,
          .cores = usable_cores(),
          .packed = dataset.kind() == "pack",
          .storage = dataset.storage()};
}

std::string data_wait_advice(const DataWait& wait) {
  std::string ways;
  const auto add = [&](const std::string& way) { ways += (ways.empty() ? "" : ", ") + way; };
  if (wait.workers < wait.cores) add(message("--workers ", wait.cores));
  if (wait.boxes) {
    add("smaller sizes (--min-sizes)");
  } else if (!wait.packed) {
    add("a pack of the data set (invp data pack)");
    add("--dct-scaling for large JPEGs");
  } else if (wait.storage.find("pixels") == std::string::npos) {
    add("a pack of pixels (invp data pack --raw)");
  }
  if (!wait.boxes) add("a smaller --image-size");
  add("more CPU cores");
  return message("data wait: ", std::lround(100 * wait.share),
                 " % of the epoch was spent waiting for images, because ", wait.workers,
                 wait.workers == 1 ? " loader thread does" : " loader threads do",
                 " not keep up. What helps: ", ways);
}

void DataWaitAdvice::note(const DataWait& wait, double waited, RunObserver& observer) {
  constexpr double kStartUp = 1;  // second
  if (given_ || wait.share <= kDataWaitWorthAWord || waited < kStartUp) return;
  given_ = true;
  observer.note(data_wait_advice(wait));
}

}  // namespace invp
