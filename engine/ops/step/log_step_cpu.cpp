#include <algorithm>
#include <cmath>

#include "engine/ops/step/log_step.h"

namespace invp::cpu {

void log_step(const Tensor& means, const Tensor& total, const Tensor& losses, const Tensor& state) {
  const std::span<const float> step = means.span<float>();
  const float sum = *total.data<float>();
  auto& [logged, halted] = *reinterpret_cast<std::array<std::int32_t, 2>*>(state.raw());
  if (logged < losses.dim(0)) {
    float* const row = losses.data<float>() + std::int64_t{logged++} * 4;
    std::ranges::copy(step, row);
    row[3] = sum;
  }
  if (!std::isfinite(step[2]) || !std::isfinite(sum)) halted = 1;
}

}  // namespace invp::cpu
