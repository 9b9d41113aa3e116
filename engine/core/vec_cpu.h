// Vectors of floats as wide as the machine's registers, in portable vector extensions: the
// arithmetic is written once for AVX-512, AVX2 and anything else. Files that include this are
// compiled with -ffp-contract=fast, so that a * b + c is one instruction and one rounding.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

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

/// max(value, 0). NaN stays NaN.
inline Vec positive_part(Vec value) {
  return value < 0 ? Vec{} : value;
}

/// The pair (a, b) of rows Step apart, with each 2 x 2 block of Step x Step lanes transposed.
template <int Step, std::size_t... Lane>
inline void exchange(Vec& a, Vec& b, std::index_sequence<Lane...> /*all lanes*/) {
  constexpr auto low = [](int l) { return (l & Step) == 0 ? l : kVec + l - Step; };
  constexpr auto high = [](int l) { return (l & Step) == 0 ? l + Step : kVec + l; };
  const Vec upper = __builtin_shufflevector(a, b, low(Lane)...);
  b = __builtin_shufflevector(a, b, high(Lane)...);
  a = upper;
}

/// Exchanges rows and columns of a kVec x kVec matrix held in registers.
template <int Step = 1>
inline void transpose(std::array<Vec, kVec>& rows) {
#pragma GCC unroll 16
  for (int i = 0; i < kVec; ++i) {
    if ((i & Step) != 0) continue;
    exchange<Step>(rows[static_cast<std::size_t>(i)], rows[static_cast<std::size_t>(i + Step)],
                   std::make_index_sequence<kVec>{});
  }
  if constexpr (2 * Step < kVec) transpose<2 * Step>(rows);
}

}  // namespace invp::cpu
