// What the parts of the bank search pass to one another: candidates, and the cut between those that
// are needed and the rest.
//
// Candidates are ordered as in the contract of top_similar: the more similar first, of equals the
// lower row. That order as one number is the candidate's key.
#pragma once

#include <limits>

#include "engine/core/cuda_launch.cuh"

namespace invp::cuda {

struct alignas(8) Candidate {
  float similarity;
  std::int32_t row;
};

/// Rows from `similarity` upwards pass, of rows of exactly this similarity those up to `last_row`.
/// Nothing passes a cut at NaN.
struct alignas(8) Cut {
  float similarity;
  std::int32_t last_row;

  __device__ bool passes(float other, std::int64_t row) const {
    return other >= similarity && (other > similarity || row <= last_row);
  }
};

inline constexpr std::int32_t kAnyRow = std::numeric_limits<std::int32_t>::max();

/// Larger for the better candidate, of rows 0 to `rows` - 1. The upper half is the similarity, the
/// lower counts rows from the end, so that its bits beyond those of the largest row are all zero.
/// NaN, which compares with nothing, is 0.
__device__ inline std::uint64_t key_of(float similarity, std::int64_t row, std::int64_t rows) {
  if (similarity != similarity) return 0;
  const unsigned bits = __float_as_uint(similarity + 0.0F);  // -0 equals 0
  const unsigned ascending = (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
  return static_cast<std::uint64_t>(ascending) << 32 | static_cast<std::uint64_t>(rows - 1 - row);
}

/// The cut that keys from `key` upwards pass. `key` need not be any candidate's.
__device__ inline Cut cut_at(std::uint64_t key, std::int64_t rows) {
  constexpr unsigned kLowest = 0x007FFFFF;  // minus infinity; what lies below would be NaN
  const auto ascending = static_cast<unsigned>(key >> 32);
  if (ascending < kLowest) return {-std::numeric_limits<float>::infinity(), kAnyRow};
  const unsigned bits = (ascending & 0x80000000U) != 0 ? ascending & 0x7FFFFFFFU : ~ascending;
  return {__uint_as_float(bits), static_cast<std::int32_t>(rows - 1 - (key & 0xFFFFFFFFU))};
}

}  // namespace invp::cuda
