// metrics.jsonl: one JSON object a line, one line an epoch, readable while the run goes on. The
// keys:
//   epoch, step, loss, loss_ins, loss_inv, learning_rate, knn_top1, knn_top5,
//   positive_purity, hard_positive_purity, seconds, images_per_second, data_wait,
//   peak_memory_bytes, skipped_images
// and behind them the report's measures by their names: of fine-tuning top1, top5, mean_per_class.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "invp/run/observer.h"

namespace invp {

/// One line of metrics.jsonl, without the newline. Keys of what there was not, such as kNN's
/// without an evaluation, are left out; a number that JSON cannot hold (NaN, infinity) is written
/// as null.
std::string metrics_line(const EpochReport& report);

/// The epochs of a metrics.jsonl, in file order. A last line cut short by a crash is dropped; any
/// other bad line throws Error with the file and the line number. A missing file has no epochs.
std::vector<EpochReport> read_metrics(const std::filesystem::path& file);
/// The same without the bad lines, whose numbers are appended.
std::vector<EpochReport> read_metrics(const std::filesystem::path& file,
                                      std::vector<std::int64_t>& bad_lines);

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
