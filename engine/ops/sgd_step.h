// One step of SGD with momentum on many tensors at once, torch.optim.SGD's rule with coupled weight
// decay, no dampening:
//   d = g + weight_decay w,  v <- momentum v + d,  w <- w - lr v
//   With v zero at the start, the first step has v = d. Gradients are read, never written.
//   Element-wise, so the result is the same for any number of threads. Throws unless all tensors
//   are f32 and the lists match.
#pragma once

#include <span>

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"

namespace invp {

struct SgdParams {
  float lr = 0.03F;
  float momentum = 0.9F;
  float weight_decay = 0;
};

/// Tensors of one parameter; w and v are updated in place.
struct SgdSlot {
  Tensor w;
  Tensor g;
  Tensor v;
};

void sgd_step(std::span<const SgdSlot> slots, const SgdParams& params);

KERNEL(sgd_step, std::span<const SgdSlot> slots, const SgdParams& params);

}  // namespace invp
