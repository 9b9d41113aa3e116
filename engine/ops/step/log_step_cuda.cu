#include "engine/core/cuda_launch.cuh"
#include "engine/ops/step/log_step.h"

namespace invp::cuda {

namespace {

/// One thread.
__global__ void log_losses(const float* means, const float* total, float* losses, std::int64_t rows,
                           std::int32_t* state) {
  std::int32_t& logged = state[0];
  if (logged < rows) {
    float* const row = losses + std::int64_t{logged} * 4;
    row[0] = means[0];
    row[1] = means[1];
    row[2] = means[2];
    row[3] = *total;
    ++logged;
  }
  // Not finite: what is left of it, taken from itself, is not 0.
  if (means[2] - means[2] != 0 || *total - *total != 0) state[1] = 1;
}

}  // namespace

void log_step(const Tensor& means, const Tensor& total, const Tensor& losses, const Tensor& state) {
  launch(context(means.device()), {dim3(1), dim3(1)}, log_losses, means.data<float>(),
         total.data<float>(), losses.data<float>(), losses.dim(0), state.data<std::int32_t>());
}

}  // namespace invp::cuda
