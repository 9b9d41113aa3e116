// Sums and maxima over a warp or a block, in an order that never changes.
#pragma once

#include "engine/core/cuda_launch.cuh"

namespace invp::cuda {

struct Plus {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Larger {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a < b ? b : a;
  }
};

/// Every lane gets the result. All 32 lanes must call.
template <class T, class Operation>
__device__ T reduce_warp(T value, Operation operation) {
  for (int step = kWarp / 2; step > 0; step /= 2) {
    value = operation(value, __shfl_xor_sync(kAllLanes, value, step));
  }
  return value;
}

/// Every thread gets the result. All threads of a block of whole warps must call, at most 1024.
template <class T, class Operation>
__device__ T reduce_block(T value, Operation operation) {
  __shared__ T partial[kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  value = reduce_warp(value, operation);
  __syncthreads();  // the last call's readers are done
  if (lane == 0) partial[warp] = value;
  __syncthreads();
  T total = partial[0];
  for (int w = 1; w < warps; ++w) total = operation(total, partial[w]);
  return total;
}

}  // namespace invp::cuda
