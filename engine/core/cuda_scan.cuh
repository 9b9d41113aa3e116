// Prefix sums over a block: where each thread's share of an ordered output begins.
#pragma once

#include "engine/core/cuda_launch.cuh"

namespace invp::cuda {

/// Sums over the threads of lower number, and over all of them.
struct BlockSum {
  int before;
  int total;
};

/// All threads of a block of whole warps must call, at most 1024.
__device__ inline BlockSum sum_before_in_block(int value) {
  __shared__ int of_warp[kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  int up_to = value;
  for (int step = 1; step < kWarp; step *= 2) {
    const int other = __shfl_up_sync(kAllLanes, up_to, static_cast<unsigned>(step));
    if (lane >= step) up_to += other;
  }
  __syncthreads();  // the last call's readers are done
  if (lane == kWarp - 1) of_warp[warp] = up_to;
  __syncthreads();
  BlockSum sum{up_to - value, 0};
  for (int w = 0; w < warps; ++w) {
    if (w < warp) sum.before += of_warp[w];
    sum.total += of_warp[w];
  }
  return sum;
}

}  // namespace invp::cuda
