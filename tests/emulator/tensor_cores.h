// Tensor cores and asynchronous copies, played to the letter of NVIDIA's PTX ISA (contracts in
// engine/core/cuda_mma.cuh).
#pragma once

#include <array>
#include <bit>

#include "emulator.h"

namespace emulator {

/// What one lane gives to a product.
struct TensorOperands {
  std::array<float, 4> a;
  std::array<float, 2> b;
};

inline float as_tf32(unsigned bits) {
  return std::bit_cast<float>(bits & 0xFFFFE000U);
}

inline void multiply_add_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  constexpr unsigned kAll = 0xFFFFFFFF;
  const auto of_lane = [](int lane) {
    TensorOperands operands;
    std::memcpy(&operands, slot_of(lane).data(), sizeof operands);
    return operands;
  };
  const TensorOperands own{{as_tf32(a[0]), as_tf32(a[1]), as_tf32(a[2]), as_tf32(a[3])},
                           {as_tf32(b[0]), as_tf32(b[1])}};
  static_assert(sizeof own <= sizeof(Word));
  std::memcpy(slot_of(lane()).data(), &own, sizeof own);
  warp_barrier(kAll);
  const int group = lane() / 4;
  const int place = lane() % 4;
  for (int k = 0; k < 8; ++k) {
    const TensorOperands row = of_lane(group * 4 + k % 4);
    const auto half = static_cast<std::size_t>(k / 4);
    for (int column = 0; column < 2; ++column) {
      const float b_of_column = of_lane((place * 2 + column) * 4 + k % 4).b[half];
      c[column] += row.a[2 * half] * b_of_column;
      c[column + 2] += row.a[2 * half + 1] * b_of_column;
    }
  }
  warp_barrier(kAll);
}

/// Of the thread that runs now. What a copy will overwrite is spoilt at once and written when it is
/// waited for, so that reading too early and copying too early both show.
void copy_async(void* to, const void* from, bool wanted);
void commit_copies();
void wait_for_copies(std::size_t pending);

}  // namespace emulator
