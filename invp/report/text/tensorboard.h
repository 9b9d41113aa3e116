// TensorBoard event files with scalars over steps, written without TensorFlow. A file is a sequence
// of TFRecords: length, masked CRC32C of the length, an Event message, masked CRC32C of the
// message. The Event is a protocol buffer, encoded here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace invp {

/// One TFRecord around `payload`.
std::string tfrecord(std::string_view payload);

class TensorBoardWriter {
 public:
  /// Creates folder/events.out.tfevents.<seconds>.<host>. TensorBoard then hides the points of
  /// earlier files in the folder from `first_step` on, so that a resumed run has one curve. Throws
  /// Error naming the file if it cannot be written.
  explicit TensorBoardWriter(const std::filesystem::path& folder, std::int64_t first_step = 1);

  void scalar(std::string_view tag, double value, std::int64_t step);
  /// Flushes the file. TensorBoard sees the points only then.
  void flush();
  const std::filesystem::path& file() const { return file_; }

 private:
  std::filesystem::path file_;
  std::ofstream out_;
};

}  // namespace invp
