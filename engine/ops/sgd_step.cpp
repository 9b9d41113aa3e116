#include "engine/ops/sgd_step.h"

namespace invp {

void sgd_step(std::span<const SgdSlot> slots, const SgdParams& params) {
  if (slots.empty()) return;
  const Device device = slots.front().w.device();
  for (const SgdSlot& slot : slots) {
    CHECK(slot.w.dtype() == DType::kF32 && slot.g.dtype() == DType::kF32 &&
              slot.v.dtype() == DType::kF32,
          "[sgd_step] needs f32 throughout, got weights ", slot.w.dtype(), ", gradients ",
          slot.g.dtype(), ", momenta ", slot.v.dtype());
    CHECK(slot.g.shape() == slot.w.shape() && slot.v.shape() == slot.w.shape(),
          "[sgd_step] weights of ", slot.w.shape(), " need gradients and momenta alike, got ",
          slot.g.shape(), " and ", slot.v.shape());
    CHECK(slot.w.device() == device && slot.g.device() == device && slot.v.device() == device,
          "[sgd_step] all tensors of a step must be on ", device);
  }
  DISPATCH(device, sgd_step, slots, params);
}

}  // namespace invp
