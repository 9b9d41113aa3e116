#include <algorithm>
#include <cmath>

#include "engine/ops/step/log_step.h"

namespace invp::cpu {

void log_step(const Tensor& means, const Tensor& output_sum, const StepLog& log) {
  const std::span<const float> losses = means.span<float>();
  const float sum = *output_sum.data<float>();
  std::int32_t& count = *log.count().data<std::int32_t>();
  if (count < log.rows().dim(0)) {
    float* const row = log.rows().data<float>() + count++ * log.rows().dim(1);
    *std::ranges::copy(losses, row).out = sum;
  }
  const auto finite = [](float value) { return std::isfinite(value); };
  if (!std::ranges::all_of(losses, finite) || !finite(sum)) *log.halted().data<std::int32_t>() = 1;
}

}  // namespace invp::cpu
