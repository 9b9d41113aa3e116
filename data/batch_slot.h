// One buffer of the loader and the batch being made in it (used by loader.cpp alone).
#pragma once

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

/// Rows are filled by any thread, each by one; begin() and finish() belong to the consumer.
class BatchSlot {
 public:
  struct Failure {
    std::int64_t index;
    BadImage image;
  };

  /// Takes up a new batch of the pictures at `indices`, of image_size pixels a side.
  void begin(std::int64_t position, std::span<const std::int64_t> indices, int image_size,
             std::int64_t batch_size);
  /// Makes rows [first, last). A picture that cannot be read is noted; anything worse throws.
  void fill(std::int64_t first, std::int64_t last, const Dataset& dataset, std::uint64_t seed,
            std::int64_t epoch, const DecodeOptions& decode, BatchMaker& maker);
  /// The batch without the rows that failed, and those failures in the order of the rows.
  Batch finish(const Dataset& dataset, std::vector<Failure>& failures);

  std::int64_t size() const { return std::ssize(indices_); }

 private:
  std::int64_t position_ = 0;
  std::vector<std::int64_t> indices_;
  std::vector<std::string> reasons_;  ///< of each row; empty: it is good
  Tensor images_;
};

}  // namespace invp
