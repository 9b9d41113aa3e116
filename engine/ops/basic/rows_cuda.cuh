// Kernels along the rows of a matrix. The threads that work on one row are a team: a warp for short
// rows, a block for long ones. A kernel takes the team as its first template argument:
//
//   for (std::int64_t row = Team::first(); row < rows; row += Team::step()) {
//     for (std::int64_t i = Team::lane(); i < length; i += Team::kThreads) ...
//     total = Team::reduce(total, Plus{});   // all threads of the team must come here
//   }
#pragma once

#include "engine/core/cuda_reduce.cuh"

namespace invp::cuda {

inline constexpr int kRowThreads = 256;

struct WarpPerRow {
  static constexpr int kThreads = kWarp;
  __device__ static std::int64_t first() { return thread_in_grid() / kWarp; }
  __device__ static std::int64_t step() { return threads_in_grid() / kWarp; }
  __device__ static int lane() { return static_cast<int>(threadIdx.x) % kWarp; }
  template <class T, class Operation>
  __device__ static T reduce(T value, Operation operation) {
    return reduce_warp(value, operation);
  }
};

struct BlockPerRow {
  static constexpr int kThreads = kRowThreads;
  __device__ static std::int64_t first() { return blockIdx.x; }
  __device__ static std::int64_t step() { return gridDim.x; }
  __device__ static int lane() { return static_cast<int>(threadIdx.x); }
  template <class T, class Operation>
  __device__ static T reduce(T value, Operation operation) {
    return reduce_block(value, operation);
  }
};

/// Calls run(team, grid) with the team for rows of this length; nothing for no rows.
template <class Run>
void launch_rows(const Context& gpu, std::int64_t rows, std::int64_t length, const Run& run) {
  constexpr std::int64_t kLong = 512;  // 16 elements per lane: a warp is too slow from here on
  if (rows == 0) return;
  if (length < kLong) {
    run(WarpPerRow{}, grid_for(gpu, rows * WarpPerRow::kThreads, 1, kRowThreads));
  } else {
    run(BlockPerRow{}, grid_for(gpu, rows * BlockPerRow::kThreads, 1, kRowThreads));
  }
}

}  // namespace invp::cuda
