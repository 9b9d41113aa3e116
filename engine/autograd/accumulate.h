// total += x, element by element: how autograd adds gradients. Not differentiable.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"

namespace invp {

/// Same shape; f32 += f32, f32 += bf16 or bf16 += bf16. Throws otherwise.
void accumulate(const Tensor& total, const Tensor& x);

KERNEL(accumulate, const Tensor& total, const Tensor& x);

}  // namespace invp
