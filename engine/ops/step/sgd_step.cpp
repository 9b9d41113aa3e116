#include "engine/ops/step/sgd_step.h"

#include "engine/core/checks.h"

namespace invp {

void sgd_step(std::span<const SgdItem> items, const SgdHyper& hyper, const SgdControl& control) {
  for (const SgdItem& item : items) {
    for (const Tensor& other : {item.gradient, item.momentum}) {
      CHECK(other.shape() == item.weight.shape() && other.dtype() == DType::kF32 &&
                item.weight.dtype() == DType::kF32,
            "[sgd_step] weight, gradient and momentum must be f32 of one shape, got ",
            item.weight.dtype(), item.weight.shape(), " and ", other.dtype(), other.shape());
      CHECK(other.device() == item.weight.device() &&
                item.weight.device() == items.front().weight.device(),
            "[sgd_step] tensors on ", other.device(), " and ", item.weight.device());
    }
    if (!item.copy.defined()) continue;
    CHECK(item.copy.shape() == item.weight.shape() && item.copy.dtype() == DType::kBF16 &&
              item.copy.device() == item.weight.device(),
          "[sgd_step] the copy must be bf16 of the weight's shape and device, got ",
          item.copy.dtype(), item.copy.shape(), " on ", item.copy.device(), " for ",
          item.weight.shape(), " on ", item.weight.device());
  }
  if (items.empty()) return;
  const Tensor& first = items.front().weight;
  check_scalar("sgd_step", first, "lr_factor", control.lr_factor, DType::kF32);
  check_scalar("sgd_step", first, "halted", control.halted, DType::kI32);
  DISPATCH(first.device(), sgd_step, items, hyper, control);
}

}  // namespace invp
