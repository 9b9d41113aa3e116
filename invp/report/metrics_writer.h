// metrics.jsonl: one JSON object a line, one line an epoch, readable while the run goes on.
//   {"epoch": 3, "step": 237, "loss": 6.12, "loss_ins": 5.9, "loss_inv": 0.37, "learning_rate":
//   0.0296, "knn_top1": 38.2,
//    "knn_top5": 88.0, "seconds": 14.0, "images_per_second": 712.4, "peak_memory_bytes": 402653184,
//    "skipped_images": 0}
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "invp/observer.h"

namespace invp {

/// One line of metrics.jsonl, without the newline. kNN keys are left out where there was no
/// evaluation; a number that JSON cannot hold (NaN, infinity) is written as null.
std::string metrics_line(const EpochReport& report);

/// The epochs of a metrics.jsonl, in file order. A last line cut short by a crash is dropped; any
/// other bad line throws Error with the file and the line number. A missing file has no epochs.
std::vector<EpochReport> read_metrics(const std::filesystem::path& file);

class MetricsWriter {
 public:
  /// Keeps the lines of epochs before `first_epoch` (a resumed run repeats none) and appends after
  /// them. Throws Error naming the file if it cannot be written.
  MetricsWriter(std::filesystem::path file, std::int64_t first_epoch);

  /// Appends one line and hands it to the system before returning.
  void write(const EpochReport& report);
  /// Everything in the file, kept lines included.
  const std::vector<EpochReport>& epochs() const { return epochs_; }

 private:
  std::filesystem::path file_;
  std::vector<EpochReport> epochs_;
};

}  // namespace invp
