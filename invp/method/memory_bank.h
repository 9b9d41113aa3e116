// The memory bank of InvP: for every training image a running mean of its embeddings (paper,
// section 3.1).
#pragma once

#include <cstdint>

#include "engine/core/tensor.h"

namespace invp {

class MemoryBank {
 public:
  /// `images` rows of `dim` values, uniform in +-1/sqrt(dim / 3), so that the expected squared
  /// length is 1. Row i is a function of (seed, i) alone.
  MemoryBank(std::int64_t images, std::int64_t dim, std::uint64_t seed, DType dtype = DType::kF32,
             Device device = kCpu);
  /// Rows made elsewhere, (n, d) f32 or bf16, shared and not copied.
  explicit MemoryBank(Tensor rows);

  const Tensor& rows() const { return rows_; }
  std::int64_t size() const { return rows_.dim(0); }
  std::int64_t dim() const { return rows_.dim(1); }

  /// row i <- normalise(momentum * row i + (1 - momentum) * v), for each of `indices` (b) i32 with
  /// its v of `embeddings` (b, d), in this order: an image that comes twice moves twice. Not where
  /// `halted`, one i32, is given and not 0.
  void update(const Tensor& indices, const Tensor& embeddings, float momentum,
              const Tensor& halted = {});

 private:
  Tensor rows_;
};

}  // namespace invp
