// Draws, without replacement, which labeled rows of each picture are trained on.
//   labels (B, n) i32: above 0 positive, 0 negative, kNoLabel neither -> rows (B, count) i32: first
//   min(positives there are, most_positives) positives, then negatives until there are `count` or
//   no more, each kind by ascending index, then -1; counts (B, 2) i32, of both kinds; labels (B, n)
//   i32: those of the rows drawn, kNoLabel elsewhere.
//   Row i of picture b draws the i-th word of the stream (seed, purpose, step, first_picture + b),
//   and the rows of the highest draws are taken: the choice depends neither on the device nor on
//   threads, nor on which pictures a rank computes.
//   Not differentiable. Throws for other shapes and dtypes.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/random.h"
#include "engine/core/tensor.h"

namespace invp {

struct SampleParams {
  std::int64_t count = 256;           ///< of a picture
  std::int64_t most_positives = 128;  ///< of these
  std::uint64_t seed = 0;
  Purpose purpose = Purpose::kAnchorSample;
  std::uint64_t step = 0;
  std::uint64_t first_picture = 0;  ///< the number of picture 0 within the step, over all ranks

  HOST_DEVICE RandomWords words(std::int64_t picture) const {
    return {seed, purpose, step, first_picture + static_cast<std::uint64_t>(picture)};
  }
};

/// Larger for the row that is drawn earlier, of equal draws the lower; never 0.
HOST_DEVICE inline std::uint64_t draw_key(const RandomWords& words, std::int64_t row,
                                          std::int64_t rows) {
  constexpr std::uint64_t kNotZero = 0x80000000;
  const std::uint64_t draw = words.word(static_cast<std::uint64_t>(row)) >> 1 | kNotZero;
  return draw << 32 | static_cast<std::uint64_t>(rows - 1 - row);
}

struct Samples {
  Tensor rows;
  Tensor counts;
  Tensor labels;
};

Samples sample_labels(const Tensor& labels, const SampleParams& params);

KERNEL(sample_labels, const Tensor& labels, const SampleParams& params, const Samples& samples);

}  // namespace invp
