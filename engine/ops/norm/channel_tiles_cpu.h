// How CPU kernels with one coefficient per channel go over a tensor of M rows of C channels: as one
// flat array, cut into tiles of whole rows, with the coefficients repeated to the width of a tile.
// The inner loop is then long, and a multiple of vectors and cache lines, for any C from 3 to 2048.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "engine/core/memory.h"
#include "engine/core/tensor.h"

namespace invp::cpu {

class ChannelTiles {
 public:
  explicit ChannelTiles(const Tensor& x)
      : channels_(x.dim(-1)),
        rows_(channels_ == 0 ? 0 : x.numel() / channels_),
        width_(std::lcm(std::max<std::int64_t>(channels_, 1), kLine)) {
    width_ *= (kWidth + width_ - 1) / width_;
    const std::int64_t tile_rows = channels_ == 0 ? 1 : width_ / channels_;
    const std::int64_t wanted = kBlock / std::max<std::int64_t>(channels_, 1);
    const std::int64_t block_rows = std::clamp<std::int64_t>(wanted, 64, 1024);
    block_rows_ = (block_rows + tile_rows - 1) / tile_rows * tile_rows;
  }

  std::int64_t channels() const { return channels_; }
  std::int64_t rows() const { return rows_; }
  std::int64_t elements() const { return rows_ * channels_; }
  /// Elements of a tile: a multiple of C and of a cache line of bf16, at least 256.
  std::int64_t width() const { return width_; }
  std::int64_t tiles() const { return (elements() + width_ - 1) / width_; }

  /// Reductions go over blocks of this many rows, whole tiles each and cut the same way for any
  /// number of threads.
  std::int64_t block_rows() const { return block_rows_; }
  std::int64_t blocks() const { return (rows_ + block_rows_ - 1) / block_rows_; }
  /// Rows of one block; the last may be short.
  std::int64_t rows_of(std::int64_t block) const {
    return std::min(block_rows_, rows_ - block * block_rows_);
  }

  /// f32 working memory, one value per element of a tile.
  Tensor scratch(std::int64_t arrays = 1) const {
    const MemoryScope scope(MemoryUse::kWorkspace);
    return Tensor::empty({arrays, width_});
  }
  /// coefficient(c) repeated to the width of a tile.
  template <class Coefficient>
  void expand(float* tile, const Coefficient& coefficient) const {
    for (std::int64_t c = 0; c < channels_; ++c) tile[c] = static_cast<float>(coefficient(c));
    for (std::int64_t i = channels_; i < width_; ++i) tile[i] = tile[i - channels_];
  }
  /// Sum over a tile of channel c's values, in double.
  double fold(const float* tile, std::int64_t c) const {
    double total = 0;
    for (std::int64_t i = c; i < width_; i += channels_) total += tile[i];
    return total;
  }

 private:
  static constexpr std::int64_t kLine = 32;    // bf16 elements of a cache line
  static constexpr std::int64_t kWidth = 256;  // elements: long enough to hide the loop's start
  static constexpr std::int64_t kBlock =
      32768;  // elements: far more than the partial sums it leaves

  std::int64_t channels_;
  std::int64_t rows_;
  std::int64_t width_;
  std::int64_t block_rows_;
};

}  // namespace invp::cpu
