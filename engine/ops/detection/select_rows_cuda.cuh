// Chooses rows by their keys on a GPU, one block a list.
#pragma once

#include "engine/ops/search/radix_select_cuda.cuh"

namespace invp::cuda {

/// Writes the up to `most` rows of the largest keys, ascending, and returns how many. key_at(i) is
/// 0 for a row that takes no part; the others are distinct and number rows below `rows` as
/// radix_select_cuda.cuh says. All threads of the block must call; they see what was written.
template <class KeyAt>
__device__ int select_rows(std::int64_t count, std::int64_t most, std::int64_t rows,
                           const KeyAt& key_at, std::int32_t* selected) {
  if (most == 0) return 0;
  int own = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += blockDim.x) own += key_at(i) != 0 ? 1 : 0;
  std::uint64_t lowest = 1;
  if (sum_before_in_block(own).total > most) {
    lowest = select_key(count, static_cast<int>(most), rows, key_at);
  }
  int written = 0;
  for (std::int64_t first = 0; first < count; first += blockDim.x) {
    const std::int64_t i = first + threadIdx.x;
    const bool taken = i < count && key_at(i) >= lowest;
    const BlockSum places = sum_before_in_block(taken ? 1 : 0);
    if (taken) selected[written + places.before] = static_cast<std::int32_t>(i);
    written += places.total;
  }
  __syncthreads();
  return written;
}

}  // namespace invp::cuda
