// The inner loop of the bank search: inner products of a few bank rows with a panel of queries,
// kept in registers from the first multiplication to the comparison with each query's threshold.
// Only similarities that pass, a fraction of a percent, are stored.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#ifdef __AVX__
#include <immintrin.h>
#endif

namespace invp::cpu {

// Register blocking: kTileRows x kTileVectors accumulators, one panel line and a broadcast.
#if defined(__AVX512F__)
inline constexpr int kLanes = 16;
inline constexpr int kTileRows = 6;
inline constexpr int kTileVectors = 4;
#elif defined(__AVX__)
inline constexpr int kLanes = 8;
inline constexpr int kTileRows = 4;
inline constexpr int kTileVectors = 2;
#else
inline constexpr int kLanes = 4;
inline constexpr int kTileRows = 4;
inline constexpr int kTileVectors = 2;
#endif
/// Queries per panel: a (D, kPanel) array, one query per column.
inline constexpr int kPanel = kLanes * kTileVectors;

using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));

inline Lanes load_lanes(const float* from) {
  Lanes value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

/// a * b + c, rounded once where the machine can: what the similarity's contract says.
inline Lanes multiply_add(float a, Lanes b, Lanes c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(_mm512_set1_ps(a), b, c);
#elif defined(__FMA__)
  return _mm256_fmadd_ps(_mm256_set1_ps(a), b, c);
#else
  return a * b + c;
#endif
}

/// Bit l is set where a[l] >= b[l]; never for NaN.
inline std::uint64_t not_below(Lanes a, Lanes b) {
#ifdef __AVX512F__
  return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ);
#else
  const auto passed = a >= b;
  std::uint64_t bits = 0;
  for (int l = 0; l < kLanes; ++l) bits |= static_cast<std::uint64_t>(passed[l] & 1) << l;
  return bits;
#endif
}

/// Calls pass(row, column, similarity), rows ascending, for every similarity of `Rows` consecutive
/// bank rows with the panel's queries that is not below its query's threshold. One accumulator per
/// similarity, filled in the order of the columns of the bank: the value does not depend on where
/// in a tile the pair falls.
template <int Rows, class Pass>
void similarity_tile(const float* rows, std::int64_t dim, const float* panel,
                     const float* thresholds, const Pass& pass) {
  Lanes sum[Rows][kTileVectors] = {};
  for (std::int64_t k = 0; k < dim; ++k) {
    __builtin_prefetch(rows + Rows * dim + k * Rows);  // the next tile, spread over this one
    Lanes queries[kTileVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kTileVectors; ++v) queries[v] = load_lanes(panel + k * kPanel + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const float element = rows[r * dim + k];
#pragma GCC unroll 8
      for (int v = 0; v < kTileVectors; ++v) {
        sum[r][v] = multiply_add(element, queries[v], sum[r][v]);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
    std::uint64_t passed = 0;
#pragma GCC unroll 8
    for (int v = 0; v < kTileVectors; ++v) {
      passed |= not_below(sum[r][v], load_lanes(thresholds + v * kLanes)) << (v * kLanes);
    }
    if (passed == 0) continue;
    alignas(64) float similarities[kPanel];
#pragma GCC unroll 8
    for (int v = 0; v < kTileVectors; ++v) {
      std::memcpy(similarities + v * kLanes, &sum[r][v], sizeof(Lanes));
    }
    for (; passed != 0; passed &= passed - 1) {
      const int column = std::countr_zero(passed);
      pass(r, column, similarities[column]);
    }
  }
}

/// The same for any number of rows.
template <class Pass>
void similarity_rows(const float* rows, std::int64_t count, std::int64_t dim, const float* panel,
                     const float* thresholds, const Pass& pass) {
  std::int64_t r = 0;
  const auto at = [&pass](std::int64_t first) {
    return [&pass, first](int row, int column, float similarity) {
      pass(first + row, column, similarity);
    };
  };
  for (; r + kTileRows <= count; r += kTileRows) {
    similarity_tile<kTileRows>(rows + r * dim, dim, panel, thresholds, at(r));
  }
  for (; r < count; ++r) similarity_tile<1>(rows + r * dim, dim, panel, thresholds, at(r));
}

}  // namespace invp::cpu
