// Convolution as matrix products: the pixels under each tap of the filters are gathered into
// panels, a cacheful at a time; for the filters' gradient between many channels, up to 24 MB at a
// time. Contracts of the kernels as in conv2d.h.
#pragma once

#include "engine/ops/conv/conv2d.h"

namespace invp::cpu {

/// f32, one group, C and K multiples of 16; any window, stride, padding and dilation.
bool matmul_applies(const Conv2dShape& s, DType dtype);

void matmul_forward(const Conv2dShape& s, const Tensor& x, const Tensor& w, const Tensor& b,
                    const Tensor& y, Conv2dFusion fusion);
void matmul_backward_input(const Conv2dShape& s, const Tensor& dy, const Tensor& w,
                           const Tensor& dx);
void matmul_backward_weight(const Conv2dShape& s, const Tensor& dy, const Tensor& x,
                            const Tensor& dw);

}  // namespace invp::cpu
