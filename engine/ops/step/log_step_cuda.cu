#include "engine/core/cuda_launch.cuh"
#include "engine/ops/step/log_step.h"

namespace invp::cuda {

namespace {

/// x - x is 0 for every finite x, and NaN for all others.
__device__ bool finite(float x) {
  return x - x == 0;
}

/// One thread.
__global__ void log_losses(const float* means, int losses, const float* output_sum, float* rows,
                           std::int64_t room, std::int32_t* count, std::int32_t* halted) {
  bool all_finite = finite(*output_sum);
  for (int i = 0; i < losses; ++i) all_finite = all_finite && finite(means[i]);
  if (!all_finite) *halted = 1;
  if (*count >= room) return;
  float* const row = rows + std::int64_t{(*count)++} * (losses + 1);
  for (int i = 0; i < losses; ++i) row[i] = means[i];
  row[losses] = *output_sum;
}

}  // namespace

void log_step(const Tensor& means, const Tensor& output_sum, const StepLog& log) {
  launch(context(means.device()), {dim3(1), dim3(1)}, log_losses, means.data<float>(),
         static_cast<int>(means.dim(0)), output_sum.data<float>(), log.rows().data<float>(),
         log.rows().dim(0), log.count().data<std::int32_t>(), log.halted().data<std::int32_t>());
}

}  // namespace invp::cuda
