// sum and mean of all elements: f32 or bf16 of any shape -> an f32 scalar, added up in double over
// fixed blocks, so that the value does not depend on the number of threads.
//   Gradient: dy, or dy / numel, for every element. Saves nothing. The mean of no elements is NaN,
//   as in PyTorch.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"

namespace invp {

Tensor sum(const Tensor& x);
Tensor mean(const Tensor& x);

// y = scale * sum of x
KERNEL(sum_forward, const Tensor& x, double scale, const Tensor& y);
// dx[i] = scale * dy
KERNEL(sum_backward, const Tensor& dy, double scale, const Tensor& dx);

}  // namespace invp
