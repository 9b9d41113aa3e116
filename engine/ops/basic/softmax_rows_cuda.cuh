// The two reductions that softmax and cross entropy share, over one row of logits (rows_cuda.cuh).
#pragma once

#include <cmath>
#include <limits>

#include "engine/ops/basic/rows_cuda.cuh"

namespace invp::cuda {

template <class Team, class T>
__device__ float row_max(const T* x, std::int64_t classes) {
  float largest = -std::numeric_limits<float>::infinity();
#pragma unroll 4
  for (std::int64_t c = Team::lane(); c < classes; c += Team::kThreads) {
    largest = Larger{}(largest, static_cast<float>(x[c]));
  }
  return Team::reduce(largest, Larger{});
}

/// sum exp(x - largest). NaN if any x is.
template <class Team, class T>
__device__ float row_sum_exp(const T* x, std::int64_t classes, float largest) {
  float total = 0;
#pragma unroll 4
  for (std::int64_t c = Team::lane(); c < classes; c += Team::kThreads) {
    total += std::exp(static_cast<float>(x[c]) - largest);
  }
  return Team::reduce(total, Plus{});
}

}  // namespace invp::cuda
