#include "engine/ops/step/log_step.h"

#include <cmath>

#include "engine/core/checks.h"
#include "engine/ops/basic/reduce.h"

namespace invp {

std::string StepLosses::trouble() const {
  if (!std::isfinite(output_sum)) return "the network's output is not finite";
  for (const double loss : losses) {
    if (!std::isfinite(loss)) return message("the loss is ", loss, ", not finite,");
  }
  return "";
}

StepLog::StepLog(std::int64_t steps, std::int64_t losses, Device device)
    : rows_(Tensor::zeros({steps, losses + 1}, DType::kF32, device)),
      count_(Tensor::zeros({1}, DType::kI32, device)),
      halted_(Tensor::zeros({1}, DType::kI32, device)) {}

std::vector<StepLosses> StepLog::take() {
  const std::int32_t count = *count_.to(kCpu).data<std::int32_t>();
  const Tensor rows = rows_.slice(0, count).to(kCpu);
  const std::int64_t losses = rows.dim(1) - 1;
  std::vector<StepLosses> steps;
  for (std::int32_t i = 0; i < count; ++i) {
    const float* const row = rows.data<float>() + i * (losses + 1);
    steps.push_back({.losses = {row, row + losses}, .output_sum = row[losses]});
  }
  count_.zero();
  halted_.zero();
  return steps;
}

void log_step(const Tensor& means, const Tensor& outputs, const StepLog& log) {
  CHECK(means.rank() == 1 && means.dim(0) + 1 == log.rows().dim(1) && means.dtype() == DType::kF32,
        "[log_step] means must be f32 of shape (", log.rows().dim(1) - 1, "), got ", means.dtype(),
        " ", means.shape());
  check_same_device("log_step", means, "the log", log.rows());
  if (outputs.defined()) check_same_device("log_step", means, "outputs", outputs);
  const Tensor output_sum =
      outputs.defined() ? sum(outputs.detach()) : Tensor::zeros({}, DType::kF32, means.device());
  DISPATCH(means.device(), log_step, means, output_sum, log);
}

}  // namespace invp
