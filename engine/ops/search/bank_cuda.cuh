// How kernels read the rows of a bank, f32 or bf16.
#pragma once

#include "engine/core/cuda_launch.cuh"
#include "engine/core/tensor.h"

namespace invp::cuda {

/// Elements [4 c, 4 c + 4) of a row, as f32.
struct alignas(16) Quad {
  float lane[4];
};
inline constexpr int kQuad = 4;

template <class T>
struct BankRows {
  const T* first;
  std::int64_t dim;
  bool packed;  ///< every quad of every row is aligned

  /// Elements [k, k + 4) of a row, those past its end zero; k is a multiple of 4.
  __device__ Quad quad(std::int64_t row, std::int64_t k) const {
    const T* const from = first + row * dim + k;
    Quad quad{};
    if (packed) {
      if (k >= dim) return quad;
      const auto pack = *reinterpret_cast<const Pack<T, kQuad>*>(from);
#pragma unroll
      for (int j = 0; j < kQuad; ++j) quad.lane[j] = static_cast<float>(pack.lane[j]);
    } else {
#pragma unroll
      for (int j = 0; j < kQuad; ++j) {
        if (k + j < dim) quad.lane[j] = static_cast<float>(from[j]);
      }
    }
    return quad;
  }
};

template <class T>
BankRows<T> rows_of(const Tensor& matrix) {
  const T* const first = matrix.data<T>();
  const std::int64_t dim = matrix.dim(1);
  const bool packed =
      dim % kQuad == 0 && reinterpret_cast<std::uintptr_t>(first) % (kQuad * sizeof(T)) == 0;
  return {first, dim, packed};
}

}  // namespace invp::cuda
