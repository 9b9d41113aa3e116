// The same elements under another shape, differentiable: y shares the elements of x, and its
// gradient is viewed back.
//   Throws when the number of elements differs.
#pragma once

#include "engine/core/tensor.h"

namespace invp {

Tensor reshape(const Tensor& x, const Shape& shape);

/// (N, ...) -> (N, everything else). Throws for a scalar.
Tensor flatten(const Tensor& x);

}  // namespace invp
