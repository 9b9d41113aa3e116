// A radix select finds the best k of a row without an order, then these are ordered.
#include "engine/ops/detection/score_order_cuda.cuh"
#include "engine/ops/detection/select_rows_cuda.cuh"
#include "engine/ops/detection/top_scores.h"

namespace invp::cuda {

namespace {

constexpr int kThreads = 512;

/// One block a row. chosen (B, k): the best k in the order of their indices, then -1.
__global__ void __launch_bounds__(kThreads)
    choose_best(ScoreKeys keys, std::int64_t k, std::int32_t* chosen) {
  const std::int64_t row = blockIdx.x;
  chosen += row * k;
  const int written = select_rows(
      keys.count, k, keys.numbered + 1, [&](std::int64_t i) { return keys(row, i); }, chosen);
  for (std::int64_t i = written + threadIdx.x; i < k; i += kThreads) chosen[i] = -1;
}

}  // namespace

void top_scores(const Tensor& scores, const Tensor& best) {
  if (best.numel() == 0) return;
  const Context& gpu = context(scores.device());
  const std::int64_t k = best.dim(1);
  const MemoryScope scope(MemoryUse::kWorkspace);
  const Tensor chosen = Tensor::empty_like(best);
  auto* const rows = chosen.data<std::int32_t>();
  const ScoreKeys all{scores.data<float>(), nullptr, scores.dim(1), scores.dim(1)};
  launch(gpu, {dim3(static_cast<unsigned>(scores.dim(0))), dim3(kThreads)}, choose_best, all, k,
         rows);
  order_scores(gpu, {scores.data<float>(), rows, k, scores.dim(1)}, best);
}

}  // namespace invp::cuda
