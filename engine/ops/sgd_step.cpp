#include "engine/ops/sgd_step.h"

namespace invp {

void sgd_step(std::span<const SgdItem> items, const SgdHyper& hyper) {
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
  }
  if (!items.empty()) DISPATCH(items.front().weight.device(), sgd_step, items, hyper);
}

}  // namespace invp
