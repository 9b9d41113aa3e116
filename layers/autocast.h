// Products in bf16 of parameters that are kept in f32.
#pragma once

#include "engine/core/tensor.h"

namespace invp {

/// An f32 parameter as an operand of products of this dtype, differentiably. The values rounded to
/// bf16 are kept with the parameter (Tensor::rounded), so that the optimiser rounds them, once per
/// step.
Tensor as_operand(const Tensor& parameter, DType dtype);

}  // namespace invp
