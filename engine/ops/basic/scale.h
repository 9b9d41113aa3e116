// y = factor x, with a factor that stays on its device. Operations that computed their gradient in
// the forward pass apply the chain rule with it.
//   x f32 of any shape, factor f32 with one element -> y like x. Not differentiable. Throws for
//   other shapes and dtypes.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"

namespace invp {

Tensor scale(const Tensor& x, const Tensor& factor);

KERNEL(scale, const Tensor& x, const Tensor& factor, const Tensor& y);

}  // namespace invp
