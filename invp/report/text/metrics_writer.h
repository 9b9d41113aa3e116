// metrics.jsonl: one JSON object per line, one line per epoch, readable while the run goes on.
// Every line has
//   epoch, step, loss, learning_rate, seconds, images_per_second, data_wait, peak_memory_bytes,
//   skipped_images
// and each measure of the report under its name (invp/run/measures.h).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "invp/run/observer.h"

namespace invp {

/// One line of metrics.jsonl, without the newline. NaN and infinity, which JSON cannot hold, are
/// written as null.
std::string metrics_line(const EpochReport& report);

/// The epochs of a metrics.jsonl, in file order. Drops a last line that a crash cut short. Throws
/// Error naming the file and the line for any other bad line. A missing file has no epochs.
std::vector<EpochReport> read_metrics(const std::filesystem::path& file);
/// The same, but skips bad lines and appends their numbers to `bad_lines`.
std::vector<EpochReport> read_metrics(const std::filesystem::path& file,
                                      std::vector<std::int64_t>& bad_lines);

class MetricsWriter {
 public:
  /// Keeps the lines of epochs before `first_epoch`, so that a resumed run repeats none. Throws
  /// Error naming the file if it cannot be written.
  MetricsWriter(std::filesystem::path file, std::int64_t first_epoch);

  /// Adds one line; the file is written anew, as a whole. When that fails the next call writes the
  /// line, too.
  void write(const EpochReport& report);
  /// Writes what write() could not; does nothing if it could.
  void catch_up();
  /// All epochs of the file, the kept ones included.
  const std::vector<EpochReport>& epochs() const { return epochs_; }

 private:
  std::filesystem::path file_;
  std::string lines_;
  bool complete_ = true;  ///< the file has all lines
  std::vector<EpochReport> epochs_;
};

}  // namespace invp
