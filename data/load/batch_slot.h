// One buffer of the loader and the batch being made in it (used by loader.cpp alone).
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "data/images/augment.h"
#include "data/load/loader.h"

namespace invp {

/// What one thread needs to make pictures: reused buffers.
struct BatchMaker {
  explicit BatchMaker(const AugmentConfig& config) : augmenter(config) {}
  Augmenter augmenter;
  Sample sample;
};

/// Byte strings one behind the other in one buffer, put there by many threads. The buffer grows to
/// what batches turn out to need.
class ByteBuffer {
 public:
  /// Forgets what was there before. `rows` strings come; the first time, room is made for so many
  /// bytes.
  void begin(std::int64_t rows, std::int64_t bytes);
  /// Room for a row's bytes, and its place. By any thread, a row by one.
  struct Room {
    std::int64_t begin;
    std::uint8_t* to;
  };
  Room take(std::int64_t row, std::int64_t bytes);
  /// All of them, whole.
  Tensor finish();

 private:
  std::int64_t capacity() const { return bytes_.numel(); }

  Tensor bytes_;
  std::atomic<std::int64_t> used_ = 0;
  struct Late {
    std::int64_t begin = 0;
    std::vector<std::uint8_t> bytes;
  };
  std::vector<Late> late_;  ///< a row's bytes, where there was no room
};

/// Rows are filled by any thread, each by one; begin() and finish() belong to the consumer.
class BatchSlot {
 public:
  using Failure = Loader::Failure;

  /// Takes up a new batch of the pictures at `indices`.
  void begin(std::int64_t position, std::span<const std::int64_t> indices,
             const AugmentConfig& augment, const LoaderOptions& options);
  /// Makes rows [first, last). A picture that cannot be read is noted; anything worse throws.
  void fill(std::int64_t first, std::int64_t last, const Dataset& dataset,
            const LoaderOptions& options, std::int64_t epoch, BatchMaker& maker);
  /// The batch without the rows that failed, and those failures in the order of the rows.
  Batch finish(const Dataset& dataset, std::vector<Failure>& failures);

  std::int64_t size() const { return std::ssize(indices_); }

 private:
  bool pass_file(std::int64_t row, std::span<const std::uint8_t> bytes, const std::string& name,
                 const LoaderOptions& options, const AugmentConfig& augment, Random& random);
  void make_row(std::int64_t row, const Augmenter::Crop& crop, Augmenter& augmenter);

  std::int64_t position_ = 0;
  std::vector<std::int64_t> indices_;
  std::vector<std::string> reasons_;  ///< of each row; empty: it is good
  AugmentOn augment_on_ = AugmentOn::kWorkers;
  Tensor images_;  ///< on the CPU
  AugmentOutput output_;
  std::vector<AugmentRecord> records_;  ///< on the device, of each row
  ByteBuffer crops_;
  std::vector<JpegFile> jpegs_;  ///< that the device decodes, of each row; else empty
  ByteBuffer files_;
};

}  // namespace invp
