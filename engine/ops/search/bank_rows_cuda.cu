#include "engine/core/cuda_reduce.cuh"
#include "engine/ops/search/bank_cuda.cuh"
#include "engine/ops/search/bank_rows.h"

namespace invp::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;
constexpr int kColumns = kWarp * kQuad;  ///< of a row, read by a warp at once

__device__ int lane_of() {
  return static_cast<int>(threadIdx.x) % kWarp;
}
__device__ int warp_of() {
  return static_cast<int>(threadIdx.x) / kWarp;
}

/// One warp per list entry.
template <class T>
__global__ void dots(BankRows<float> queries, BankRows<T> bank, const std::int32_t* rows,
                     std::int64_t width, std::int64_t entries, float* similarities) {
  const std::int64_t step = threads_in_grid() / kWarp;
  for (std::int64_t i = thread_in_grid() / kWarp; i < entries; i += step) {
    const std::int64_t row = rows[i];
    float sum = 0;
    if (row >= 0) {
      for (std::int64_t k = lane_of() * kQuad; k < bank.dim; k += kColumns) {
        const Quad a = queries.quad(i / width, k);
        const Quad b = bank.quad(row, k);
#pragma unroll
        for (int j = 0; j < kQuad; ++j) sum = fmaf(a.lane[j], b.lane[j], sum);
      }
    }
    sum = reduce_warp(sum, Plus{});
    if (lane_of() == 0) similarities[i] = sum;
  }
}

/// Entries of a list that one block adds up: 32 per warp, whose lanes load their numbers at once.
constexpr int kShare = kWarps * kWarp;

/// partials[share][i] = the sum of one share of list i, one block per share and 128 columns.
template <class T>
__global__ void weighted_sums(BankRows<T> bank, const std::int32_t* rows, const float* weights,
                              std::int64_t width, float* partials) {
  __shared__ Quad of_warp[kWarps][kWarp];
  const std::int64_t i = blockIdx.x;
  const std::int64_t share = blockIdx.y;
  const std::int64_t k = static_cast<std::int64_t>(blockIdx.z) * kColumns + lane_of() * kQuad;
  const std::int64_t w = share * kShare + threadIdx.x;
  const std::int32_t own_row = w < width ? rows[i * width + w] : -1;
  const float own_weight = w < width ? weights[i * width + w] : 0;
  Quad sum{};
#pragma unroll 8
  for (int entry = 0; entry < kWarp; ++entry) {
    const std::int32_t row = __shfl_sync(kAllLanes, own_row, entry);
    const float weight = __shfl_sync(kAllLanes, own_weight, entry);
    const Quad quad = row >= 0 ? bank.quad(row, k) : Quad{};
    const float factor = row >= 0 ? weight : 0;
#pragma unroll
    for (int j = 0; j < kQuad; ++j) sum.lane[j] = fmaf(factor, quad.lane[j], sum.lane[j]);
  }
  of_warp[warp_of()][lane_of()] = sum;
  __syncthreads();
  if (warp_of() != 0) return;
  for (int warp = 1; warp < kWarps; ++warp) {
#pragma unroll
    for (int j = 0; j < kQuad; ++j) sum.lane[j] += of_warp[warp][lane_of()].lane[j];
  }
#pragma unroll
  for (int j = 0; j < kQuad; ++j) {
    if (k + j < bank.dim) partials[(share * gridDim.x + i) * bank.dim + k + j] = sum.lane[j];
  }
}

/// total[e] += the partial sums of all shares, in their order.
__global__ void add_partials(const float* partials, std::int64_t shares, std::int64_t count,
                             float* total) {
  for (std::int64_t e = thread_in_grid(); e < count; e += threads_in_grid()) {
    float sum = 0;
#pragma unroll 4
    for (std::int64_t share = 0; share < shares; ++share) sum += partials[share * count + e];
    total[e] += sum;
  }
}

template <class T>
__device__ float blend(T element, float value, float momentum) {
  return momentum * static_cast<float>(element) + (1 - momentum) * value;
}

/// By one warp. A lane writes only what it alone reads.
template <class T>
__device__ void blend_row(T* row, const float* value, std::int64_t dim, float momentum) {
  constexpr double kShortest = 1e-12;
  double squares = 0;
  for (std::int64_t k = lane_of(); k < dim; k += kWarp) {
    const double mixed = blend(row[k], value[k], momentum);
    squares += mixed * mixed;
  }
  const double length = sqrt(reduce_warp(squares, Plus{}));
  const auto scale = static_cast<float>(1 / (length < kShortest ? kShortest : length));
  for (std::int64_t k = lane_of(); k < dim; k += kWarp) {
    row[k] = T(scale * blend(row[k], value[k], momentum));
  }
}

/// One warp per index. The first of equal indices in the batch moves the row for all of them, in
/// their order.
template <class T>
__global__ void blend_all(T* bank, std::int64_t dim, const std::int32_t* indices,
                          std::int64_t batch, const float* values, float momentum,
                          const std::int32_t* halted) {
  const std::int64_t own = thread_in_grid() / kWarp;
  if (own >= batch || (halted != nullptr && *halted != 0)) return;
  const std::int32_t index = indices[own];
  if (index < 0) return;
  for (std::int64_t first = 0; first < batch; first += kWarp) {
    const std::int64_t i = first + lane_of();
    unsigned repeats = __ballot_sync(kAllLanes, i < batch && indices[i] == index);
    for (; repeats != 0; repeats &= repeats - 1) {
      const std::int64_t repeat = first + __ffs(static_cast<int>(repeats)) - 1;
      if (repeat < own) return;
      blend_row(bank + index * dim, values + repeat * dim, dim, momentum);
    }
  }
}

template <class T>
__global__ void take(const T* bank, std::int64_t dim, const std::int32_t* indices,
                     std::int64_t count, float* taken) {
  for (std::int64_t e = thread_in_grid(); e < count; e += threads_in_grid()) {
    const std::int32_t index = indices[e / dim];
    taken[e] = index < 0 ? 0 : static_cast<float>(bank[index * dim + e % dim]);
  }
}

}  // namespace

void row_similarities(const Tensor& queries, const Tensor& bank, const Tensor& rows,
                      const Tensor& similarities) {
  if (rows.numel() == 0) return;
  const Context& gpu = context(bank.device());
  dispatch_floating(bank.dtype(), "row_similarities", [&]<class T>(T) {
    launch(gpu, grid_for(gpu, rows.numel() * kWarp, 1, kThreads), dots<T>, rows_of<float>(queries),
           rows_of<T>(bank), rows.data<std::int32_t>(), rows.dim(1), rows.numel(),
           similarities.data<float>());
  });
}

void add_weighted_rows(const Tensor& total, const Tensor& bank, const Tensor& rows,
                       const Tensor& weights) {
  if (rows.numel() == 0 || total.numel() == 0) return;
  const Context& gpu = context(bank.device());
  const std::int64_t shares = (rows.dim(1) + kShare - 1) / kShare;
  const std::int64_t columns = (bank.dim(1) + kColumns - 1) / kColumns;
  const MemoryScope scope(MemoryUse::kWorkspace);
  const Tensor partials = Tensor::empty({shares, total.numel()}, DType::kF32, total.device());
  const Grid grid{.blocks = dim3(static_cast<unsigned>(rows.dim(0)), static_cast<unsigned>(shares),
                                 static_cast<unsigned>(columns)),
                  .threads = dim3(kThreads)};
  dispatch_floating(bank.dtype(), "add_weighted_rows", [&]<class T>(T) {
    launch(gpu, grid, weighted_sums<T>, rows_of<T>(bank), rows.data<std::int32_t>(),
           weights.data<float>(), rows.dim(1), partials.data<float>());
  });
  launch(gpu, grid_for(gpu, total.numel()), add_partials, partials.data<float>(), shares,
         total.numel(), total.data<float>());
}

void blend_rows(const Tensor& bank, const Tensor& indices, const Tensor& values, float momentum,
                const Tensor& halted) {
  if (values.numel() == 0) return;
  const Context& gpu = context(bank.device());
  const std::int64_t batch = indices.dim(0);
  const Grid grid{.blocks = dim3(static_cast<unsigned>((batch + kWarps - 1) / kWarps)),
                  .threads = dim3(kThreads)};
  dispatch_floating(bank.dtype(), "blend_rows", [&]<class T>(T) {
    launch(gpu, grid, blend_all<T>, bank.data<T>(), bank.dim(1), indices.data<std::int32_t>(),
           batch, values.data<float>(), momentum,
           halted.defined() ? halted.data<std::int32_t>() : nullptr);
  });
}

void take_rows(const Tensor& bank, const Tensor& indices, const Tensor& taken) {
  if (taken.numel() == 0) return;
  const Context& gpu = context(bank.device());
  dispatch_floating(bank.dtype(), "take_rows", [&]<class T>(T) {
    launch(gpu, grid_for(gpu, taken.numel()), take<T>, bank.data<T>(), bank.dim(1),
           indices.data<std::int32_t>(), taken.numel(), taken.data<float>());
  });
}

}  // namespace invp::cuda
