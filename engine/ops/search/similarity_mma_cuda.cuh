// Approximate inner products of a tile of bank rows with a tile of queries on tensor cores. Queries
// stay in shared memory, rows pass through it in slices of 64 bytes, copied while earlier ones are
// multiplied.
//
// How far such a product a may be from the exact similarity s, which is the f32 sum of
// similarity_tile_cuda.cuh. Let q and r be the query and the row, d their columns and
// S = sum |q_k r_k| <= |q| |r| (Cauchy-Schwarz).
// - Rounding to TF32 moves an operand by u = 2^-11 of itself, so the products by (2 u + u^2) S. (A
//   bf16 row is a TF32 number, its products move by u S.)
// - Products of TF32 numbers are exact in f32. How a tensor core adds is not specified; assumed is
//   that each instruction adds its 9 numbers with less than one unit in the last place (2^-23 S) of
//   error a number and one for the sum: 10 d / 8 units for d / 8 instructions, allowed are 2 d.
// - s itself is d additions of half a unit: within d 2^-24 S of the inner product.
// Altogether less than (2^-10 + d 2^-21) S, with 3 d 2^-24 S left for u^2 and for what the norms
// and the bounds made of them are rounded by. Numbers below 2^-126 may count as zero anywhere: with
// 2^-50 added to both norms the product of the three grows by more than that can take away. Where
// something could overflow (a norm above 2^60), the norm is replaced by infinity; NaN too. So
//   |a - s| <= error_factor(d) norm_bound(q) norm_bound(r), or the right side is infinite or NaN,
// and since rounding keeps order, a bound of s that is computed by one fma holds as well.
#pragma once

#include <limits>

#include "engine/core/cuda_mma.cuh"
#include "engine/core/host_device.h"
#include "engine/ops/search/bank_cuda.cuh"

namespace invp::cuda {

HOST_DEVICE constexpr float error_factor(std::int64_t dim) {
  return 0x1p-10F + 0x1p-21F * static_cast<float>(dim);
}

__device__ inline float norm_bound(float sum_of_squares) {
  const float norm = sqrtf(sum_of_squares) + 0x1p-50F;
  return norm <= 0x1p60F ? norm : std::numeric_limits<float>::infinity();
}

inline constexpr int kMmaThreads = 256;
inline constexpr int kMmaRows = 256;  ///< of the bank, per tile
inline constexpr int kRowWarps = 4;   ///< share the rows of a tile
inline constexpr int kQueryWarps = kMmaThreads / kWarp / kRowWarps;
/// One instruction takes 16 rows and 8 queries; a warp has several of either side by side.
inline constexpr int kMmaHeight = 16;
inline constexpr int kMmaWidth = 8;
inline constexpr int kRowTiles = kMmaRows / kRowWarps / kMmaHeight;
template <int kQueries>
inline constexpr int kQueryTiles = kQueries / kQueryWarps / kMmaWidth;

/// Columns are multiplied 16 at a time, by two instructions: a step, of which each of four lanes
/// takes four columns. A slice is one step of an f32 bank and two of a bf16 bank.
inline constexpr int kStepColumns = 16;
inline constexpr int kSliceBytes = 64;
template <class T>
inline constexpr int kSliceColumns = static_cast<int>(kSliceBytes / sizeof(T));
template <class T>
inline constexpr int kSliceSteps = kSliceColumns<T> / kStepColumns;
inline constexpr int kStages = 5;

/// Which part of each warp's tile a thread has, and which part of the block's tile its warp.
struct MmaPlace {
  int group;   ///< rows group and group + 8 of 16; query `group` of 8 as an operand
  int member;  ///< queries 2 member and 2 member + 1 of 8
  int first_row;
  int first_query;

  __device__ explicit MmaPlace(int tile_queries)
      : group(static_cast<int>(threadIdx.x) % kWarp / 4),
        member(static_cast<int>(threadIdx.x) % 4),
        first_row(static_cast<int>(threadIdx.x) / kWarp % kRowWarps * (kMmaRows / kRowWarps)),
        first_query(static_cast<int>(threadIdx.x) / kWarp / kRowWarps *
                    (tile_queries / kQueryWarps)) {}

  __device__ int row(int tile, int half) const {
    return first_row + tile * kMmaHeight + half * 8 + group;
  }
  __device__ int query(int tile) const { return first_query + tile * kMmaWidth + 2 * member; }
};

/// Where an element of a slice is in shared memory. Lanes that read at the same time, each its four
/// columns of two f32 rows or four bf16 rows, meet in no bank: the halves of every other pair of
/// rows change places.
template <class T>
__device__ int place_in_slice(int row, int column) {
  return row * kSliceColumns<T> + (column ^ (row & 2) * kPackLanes<T>);
}

/// The rows of a block's tiles, tile after tile and slice after slice, on their way through shared
/// memory.
template <class T>
class SliceStream {
 public:
  static constexpr int kStage = kMmaRows * kSliceColumns<T>;  ///< elements

  __device__ SliceStream(const BankRows<T>& bank, int rows, T* stages)
      : bank_(bank), rows_(rows), stages_(stages), tile_(static_cast<int>(blockIdx.y)) {
    for (int i = 0; i < kStages - 1; ++i) fetch();
  }

  /// The next slice; the one before is given back. All threads of the block must call.
  __device__ const T* next() {
    wait_for_copies<kStages - 2>();
    __syncthreads();
    fetch();
    const T* const slice = stages_ + read_ * kStage;
    read_ = read_ + 1 == kStages ? 0 : read_ + 1;
    return slice;
  }

 private:
  __device__ void fetch() {
    constexpr int kLanes = kPackLanes<T>;
    constexpr int kThreadsARow = kSliceColumns<T> / kLanes;
    constexpr int kRowsAtOnce = kMmaThreads / kThreadsARow;
    const int line = static_cast<int>(threadIdx.x) / kThreadsARow;
    const int column = static_cast<int>(threadIdx.x) % kThreadsARow * kLanes;
    const std::int64_t first_row = static_cast<std::int64_t>(tile_) * kMmaRows;
    const std::int64_t first_column = slice_ * kSliceColumns<T> + column;
    const T* from = bank_.first + (first_row + line) * bank_.dim + first_column;
    T* const to = stages_ + write_ * kStage + place_in_slice<T>(line, column);
    if (first_row < rows_) {
#pragma unroll
      for (int i = 0; i < kMmaRows; i += kRowsAtOnce) {
        const bool inside = first_row + line + i < rows_ && first_column < bank_.dim;
        copy_async(to + i * kSliceColumns<T>, inside ? from : bank_.first, inside);
        from += kRowsAtOnce * bank_.dim;
      }
    }
    commit_copies();
    write_ = write_ + 1 == kStages ? 0 : write_ + 1;
    slice_ += 1;
    if (slice_ * kSliceColumns<T> >= bank_.dim) {
      slice_ = 0;
      tile_ += static_cast<int>(gridDim.y);
    }
  }

  BankRows<T> bank_;
  int rows_;
  T* stages_;
  int tile_;
  int slice_ = 0;
  int write_ = 0;
  int read_ = 0;
};

/// A thread's products of its warp's rows and queries, and its share of the rows' squares: a row's
/// is spread over the four threads of its group.
template <class T, int kQueries>
struct MmaProducts {
  float of[kRowTiles][kQueryTiles<kQueries>][4];  ///< [..][..][2 half of the rows + query]
  float squares[kRowTiles][2];

  /// `rows` and `queries`: of the slice and of its first step, whole.
  __device__ void add_slice(const T* rows, const float* queries, const MmaPlace& place) {
    // The next step's rows would not find registers.
#pragma unroll 1
    for (int step = 0; step < kSliceSteps<T>; ++step) {
      unsigned operands[kRowTiles][2][4];
#pragma unroll
      for (int m = 0; m < kRowTiles; ++m) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int column = step * kStepColumns + place.member * kQuad;
          const auto pack = *reinterpret_cast<const Pack<T, kQuad>*>(
              rows + place_in_slice<T>(place.row(m, half), column));
#pragma unroll
          for (int j = 0; j < kQuad; ++j) {
            const auto element = static_cast<float>(pack.lane[j]);
            squares[m][half] = fmaf(element, element, squares[m][half]);
            operands[m][j / 2][half + 2 * (j % 2)] =
                sizeof(T) == 2 ? __float_as_uint(element) : round_to_tf32(element);
          }
        }
      }
      multiply(operands, queries + step * kQueries * kStepColumns, place);
    }
  }

 private:
  __device__ void multiply(const unsigned (&operands)[kRowTiles][2][4], const float* queries,
                           const MmaPlace& place) {
#pragma unroll
    for (int n = 0; n < kQueryTiles<kQueries>; ++n) {
      const int query = place.first_query + n * kMmaWidth + place.group;
      const Quad quad =
          *reinterpret_cast<const Quad*>(queries + query * kStepColumns + place.member * kQuad);
#pragma unroll
      for (int pair = 0; pair < 2; ++pair) {
        const unsigned b[2] = {__float_as_uint(quad.lane[2 * pair]),
                               __float_as_uint(quad.lane[2 * pair + 1])};
#pragma unroll
        for (int m = 0; m < kRowTiles; ++m) multiply_add_tf32(of[m][n], operands[m][pair], b);
      }
    }
  }
};

}  // namespace invp::cuda
