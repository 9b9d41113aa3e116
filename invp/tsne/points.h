// Points of the plane, and what vectors of their coordinates are computed with.
#pragma once

#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include <cstdint>
#include <vector>

#include "engine/core/vec_cpu.h"

namespace invp {

/// n points, or n forces, coordinate by coordinate.
struct Points {
  std::vector<float> x, y;

  Points() = default;
  explicit Points(std::int64_t n)
      : x(static_cast<std::size_t>(n)), y(static_cast<std::size_t>(n)) {}
  std::int64_t size() const { return std::ssize(x); }
};

/// 1 / d but for the last bit or two: the processor's estimate, improved by one Newton step.
inline cpu::Vec reciprocal(cpu::Vec d) {
#ifdef __AVX512F__
  // The masked form: GCC 12 warns of its own header otherwise (its bug 105593).
  const cpu::Vec estimate = _mm512_maskz_rcp14_ps(0xFFFF, d);
  return estimate * (2.0f - d * estimate);
#else
  return 1.0f / d;
#endif
}

inline float sum_of(cpu::Vec values) {
  float sum = 0;
  for (int l = 0; l < cpu::kVec; ++l) sum += values[l];
  return sum;
}

}  // namespace invp
