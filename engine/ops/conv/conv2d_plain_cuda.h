// Convolution on the GPU by the definition, one thread per element: any shape, f32 and bf16, f32
// sums in an order that only the shape decides. It runs where cuDNN has no plan, and tests compare
// cuDNN with it. Contracts of the kernels as in conv2d.h.
#pragma once

#include "engine/ops/conv/conv2d.h"

namespace invp::cuda {

void plain_forward(const Conv2dShape& s, const Tensor& x, const Tensor& w, const Tensor& b,
                   const Tensor& y, Conv2dFusion fusion);
/// The rest of a convolution of which only `sum` was computed: y = relu?(sum + b? + y?), as
/// conv2d_forward's. sum and y may be the same tensor.
void finish_forward(const Tensor& sum, const Tensor& b, Conv2dFusion fusion, const Tensor& y);
void plain_backward_input(const Conv2dShape& s, const Tensor& dy, const Tensor& w,
                          const Tensor& dx);
void plain_backward_weight(const Conv2dShape& s, const Tensor& dy, const Tensor& x,
                           const Tensor& dw);

}  // namespace invp::cuda
