// Orders scores on a GPU as top_scores.h says: every score is a key of its own, larger for the
// earlier, and its place is the number of larger keys. n^2 comparisons of keys in shared memory
// take less time than the passes of a sort at the few thousand scores of a picture.
#pragma once

#include "engine/ops/search/candidates_cuda.cuh"

namespace invp::cuda {

inline constexpr int kOrderThreads = 256;

/// The key of each of the `count` scores of a row; 0 for one that takes no part. `rows` numbers
/// them, -1 for none; without, they are numbered as they come.
struct ScoreKeys {
  const float* scores;  ///< (B, numbered)
  const std::int32_t* rows;
  std::int64_t count;
  std::int64_t numbered;

  __device__ std::int64_t number(std::int64_t picture, std::int64_t i) const {
    return rows == nullptr ? i : rows[picture * count + i];
  }
  __device__ std::uint64_t operator()(std::int64_t picture, std::int64_t i) const {
    const std::int64_t row = number(picture, i);
    return row < 0 ? 0 : key_of(scores[picture * numbered + row], row, numbered + 1);
  }
};

/// order[picture][place] = the number of the score at that place, -1 beyond those that take part:
/// fill it with -1 before. blockIdx.y is the picture.
__global__ inline void __launch_bounds__(kOrderThreads)
    place_scores(ScoreKeys keys, std::int32_t* order) {
  __shared__ std::uint64_t tile[kOrderThreads];
  const std::int64_t picture = blockIdx.y;
  const std::int64_t i = thread_in_grid();
  const std::uint64_t own = i < keys.count ? keys(picture, i) : 0;
  std::int64_t place = 0;
  for (std::int64_t first = 0; first < keys.count; first += kOrderThreads) {
    const std::int64_t other = first + threadIdx.x;
    __syncthreads();
    tile[threadIdx.x] = other < keys.count ? keys(picture, other) : 0;
    __syncthreads();
    for (int j = 0; j < kOrderThreads; ++j) place += tile[j] > own ? 1 : 0;
  }
  if (own != 0) {
    order[picture * keys.count + place] = static_cast<std::int32_t>(keys.number(picture, i));
  }
}

/// order (B, count) i32.
inline void order_scores(const Context& gpu, const ScoreKeys& keys, const Tensor& order) {
  if (order.numel() == 0) return;
  fill_bytes(order.raw(), 0xFF, order.nbytes(), order.device());
  const auto blocks = static_cast<unsigned>((keys.count + kOrderThreads - 1) / kOrderThreads);
  launch(gpu, {dim3(blocks, static_cast<unsigned>(order.dim(0))), dim3(kOrderThreads)},
         place_scores, keys, order.data<std::int32_t>());
}

}  // namespace invp::cuda
