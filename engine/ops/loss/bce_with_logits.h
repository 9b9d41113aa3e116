// loss = sum of  max(x, 0) - x t + log(1 + exp(-|x|)),  the binary cross entropy of sigmoid(x)
// against t in its stable form, divided by `divisor`, or by the number of elements: the mean
// (torch.nn.functional.binary_cross_entropy_with_logits).
//   x any shape, f32 or bf16; targets t of the same shape, f32 in [0, 1] or kIgnoredTarget, which
//   adds nothing but is counted -> f32 scalar; NaN for no elements.
//   Gradient: dx = (sigmoid(x) - t) dy / divisor, 0 where t is ignored; none for t. Saves x and t.
//   Throws for other shapes and dtypes.
#pragma once

#include <cmath>

#include "engine/core/dispatch.h"
#include "engine/core/host_device.h"
#include "engine/core/tensor.h"

namespace invp {

inline constexpr float kIgnoredTarget = -1;

Tensor bce_with_logits(const Tensor& x, const Tensor& targets);
Tensor bce_with_logits(const Tensor& x, const Tensor& targets, double divisor);

struct BceWithLogits {
  HOST_DEVICE static float forward(float x, float t) {
    return t == kIgnoredTarget ? 0 : (x > 0 ? x : 0) - x * t + std::log1p(std::exp(-std::fabs(x)));
  }
  HOST_DEVICE static float backward(float x, float t) {
    return t == kIgnoredTarget ? 0 : 1 / (1 + std::exp(-x)) - t;
  }
};

KERNEL(bce_with_logits_forward, const Tensor& x, const Tensor& targets, double divisor,
       const Tensor& loss);
KERNEL(bce_with_logits_backward, const Tensor& x, const Tensor& targets, double divisor,
       const Tensor& dy, const Tensor& dx);

}  // namespace invp
