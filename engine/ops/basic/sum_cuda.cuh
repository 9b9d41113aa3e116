// The sum of f(inputs[i]...) over all i, for operations whose result is one number. Added in
// double, over chunks of fixed size and then over the chunks, so that the value depends neither on
// the grid nor on the GPU.
#pragma once

#include "engine/core/cuda_reduce.cuh"
#include "engine/core/tensor.h"

namespace invp::cuda {

inline constexpr int kSumThreads = 256;
inline constexpr std::int64_t kSumChunk = 16384;

/// One block per chunk.
template <class Function, class... Inputs>
__global__ void sum_chunks(std::int64_t count, Function function, double* partial,
                           const Inputs*... inputs) {
  const std::int64_t begin = blockIdx.x * kSumChunk;
  const std::int64_t end = begin + kSumChunk < count ? begin + kSumChunk : count;
  double total = 0;
#pragma unroll 8
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kSumThreads) {
    total += function(static_cast<float>(inputs[i])...);
  }
  total = reduce_block(total, Plus{});
  if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

/// One block.
template <class Y>
__global__ void sum_partials(std::int64_t count, const double* partial, double scale, Y* y) {
  double total = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += kSumThreads) total += partial[i];
  total = reduce_block(total, Plus{});
  if (threadIdx.x == 0) *y = static_cast<Y>(scale * total);
}

/// y = scale * sum of function(inputs[i]...) over i < count.
template <class Function, class... Inputs>
void sum_of(const Function& function, double scale, const Tensor& y, std::int64_t count,
            const Inputs*... inputs) {
  const Context& gpu = context(y.device());
  const std::int64_t chunks = (count + kSumChunk - 1) / kSumChunk;
  const MemoryScope scope(MemoryUse::kWorkspace);
  const Tensor partial =
      Tensor::empty({chunks * static_cast<std::int64_t>(sizeof(double))}, DType::kU8, y.device());
  auto* const partials = static_cast<double*>(partial.raw());
  if (chunks > 0) {
    launch(gpu, {dim3(static_cast<unsigned>(chunks)), dim3(kSumThreads)},
           sum_chunks<Function, Inputs...>, count, function, partials, inputs...);
  }
  launch(gpu, {dim3(1), dim3(kSumThreads)}, sum_partials<float>, chunks, partials, scale,
         y.data<float>());
}

}  // namespace invp::cuda
