// Convolution with a quarter of the multiplications: Winograd's F(4x4, 3x3) for 3x3 filters of
// stride 1. Relative error about 1e-6 (norm of the difference over norm), twice that of the plain
// f32 sum. Contracts of the kernels as in conv2d.h.
#pragma once

#include "engine/ops/conv/conv2d.h"

namespace invp::cpu {

/// f32, 3x3, stride 1, padding up to 2, no dilation, one group, C and K multiples of 16.
bool winograd_applies(const Conv2dShape& s, DType dtype);

void winograd_forward(const Conv2dShape& s, const Tensor& x, const Tensor& w, const Tensor& b,
                      const Tensor& y, Conv2dFusion fusion);
void winograd_backward_input(const Conv2dShape& s, const Tensor& dy, const Tensor& w,
                             const Tensor& dx);
void winograd_backward_weight(const Conv2dShape& s, const Tensor& dy, const Tensor& x,
                              const Tensor& dw);

}  // namespace invp::cpu
