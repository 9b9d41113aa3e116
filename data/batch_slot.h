// One buffer of the loader and the batch being made in it (used by loader.cpp alone).
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "data/augment.h"
#include "data/loader.h"

namespace invp {

/// What one thread needs to make pictures: reused buffers.
struct BatchMaker {
  explicit BatchMaker(const AugmentConfig& config) : augmenter(config) {}
  Augmenter augmenter;
  Sample sample;
};

/// Crops one behind the other in one buffer, put there by many threads. The buffer grows to what
/// batches turn out to need.
class CropBuffer {
 public:
  /// Forgets the crops of before. `rows` of them come; the first time, room is made for so many
  /// bytes.
  void begin(std::int64_t rows, std::int64_t bytes);
  /// Copies a crop and notes its place in the record. By any thread, a row by one.
  void put(std::int64_t row, ImageView crop, AugmentRecord& record);
  /// All of them, whole.
  Tensor finish();

 private:
  std::int64_t capacity() const { return pixels_.numel(); }

  Tensor pixels_;
  std::atomic<std::int64_t> used_ = 0;
  struct Late {
    std::int64_t begin = 0;
    std::vector<std::uint8_t> bytes;
  };
  std::vector<Late> late_;  ///< a row's crop, where there was no room
};

/// Rows are filled by any thread, each by one; begin() and finish() belong to the consumer.
class BatchSlot {
 public:
  struct Failure {
    std::int64_t index;
    BadImage image;
  };

  /// Takes up a new batch of the pictures at `indices`.
  void begin(std::int64_t position, std::span<const std::int64_t> indices,
             const AugmentConfig& augment, std::int64_t batch_size, AugmentOn augment_on);
  /// Makes rows [first, last). A picture that cannot be read is noted; anything worse throws.
  void fill(std::int64_t first, std::int64_t last, const Dataset& dataset, std::uint64_t seed,
            std::int64_t epoch, const DecodeOptions& decode, BatchMaker& maker);
  /// The batch without the rows that failed, and those failures in the order of the rows.
  Batch finish(const Dataset& dataset, std::vector<Failure>& failures);

  std::int64_t size() const { return std::ssize(indices_); }

 private:
  void make_row(std::int64_t row, const Augmenter::Crop& crop, Augmenter& augmenter);

  std::int64_t position_ = 0;
  std::vector<std::int64_t> indices_;
  std::vector<std::string> reasons_;  ///< of each row; empty: it is good
  AugmentOn augment_on_ = AugmentOn::kWorkers;
  Tensor images_;  ///< on the CPU
  AugmentOutput output_;
  std::vector<AugmentRecord> records_;  ///< on the device, of each row
  CropBuffer crops_;
};

}  // namespace invp
