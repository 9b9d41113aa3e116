// Vectors of floats as wide as the machine's registers, in portable vector extensions: the
// arithmetic is written once for AVX-512, AVX2 and anything else. Files that include this are
// compiled with -ffp-contract=fast, so that a * b + c is one instruction and one rounding.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

namespace invp::cpu {

#if defined(__AVX512F__)
inline constexpr int kVec = 16;
#elif defined(__AVX__)
inline constexpr int kVec = 8;
#else
inline constexpr int kVec = 4;
#endif

using Vec = float __attribute__((vector_size(kVec * sizeof(float))));

inline Vec load(const float* from) {
  Vec value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

inline void store(float* to, Vec value) {
  std::memcpy(to, &value, sizeof value);
}

inline Vec positive_part(Vec value) {
  return value > 0 ? value : Vec{};
}

/// Exchanges rows and columns of a kVec x kVec matrix held in registers.
inline void transpose(std::array<Vec, kVec>& rows) {
  using Lane = std::int32_t __attribute__((vector_size(sizeof(Vec))));
#pragma GCC unroll 4
  for (int step = 1; step < kVec; step *= 2) {
    Lane low, high;  // which lanes of the pair (a, b) become the new a, the new b
    for (int l = 0; l < kVec; ++l) {
      low[l] = (l & step) == 0 ? l : kVec + l - step;
      high[l] = (l & step) == 0 ? l + step : kVec + l;
    }
#pragma GCC unroll 16
    for (int i = 0; i < kVec; ++i) {
      if ((i & step) != 0) continue;
      Vec& a = rows[static_cast<std::size_t>(i)];
      Vec& b = rows[static_cast<std::size_t>(i + step)];
      const Vec upper = __builtin_shuffle(a, b, low);
      b = __builtin_shuffle(a, b, high);
      a = upper;
    }
  }
}

}  // namespace invp::cpu
