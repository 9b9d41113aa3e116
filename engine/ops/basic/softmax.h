// Along the last dimension, C classes: softmax y = exp(x) / sum exp(x), log_softmax y = x - log sum
// exp(x), both computed from x - max x, so that no size of x overflows.
//   x (..., C) f32 or bf16 -> y of the same shape and dtype; sums in f32.
//   Gradient: softmax dx = y (dy - dy . y); log_softmax dx = dy - exp(y) sum dy. Save y.
//   Throws for other dtypes and rank 0.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"

namespace invp {

Tensor softmax(const Tensor& x);
Tensor log_softmax(const Tensor& x);

KERNEL(softmax_forward, bool log, const Tensor& x, const Tensor& y);
KERNEL(softmax_backward, bool log, const Tensor& y, const Tensor& dy, const Tensor& dx);

}  // namespace invp
