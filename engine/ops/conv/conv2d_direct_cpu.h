// Convolution by oneDNN: any shape, f32 and bf16. Contracts of the kernels as in conv2d.h.
#pragma once

#include "engine/ops/conv/conv2d.h"

namespace invp::cpu {

void direct_forward(const Conv2dShape& s, const Tensor& x, const Tensor& w, const Tensor& b,
                    const Tensor& y, Conv2dFusion fusion);
void direct_backward_input(const Conv2dShape& s, const Tensor& dy, const Tensor& w,
                           const Tensor& dx);
void direct_backward_weight(const Conv2dShape& s, const Tensor& dy, const Tensor& x,
                            const Tensor& dw, const Tensor& db);

}  // namespace invp::cpu
