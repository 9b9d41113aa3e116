// The same elements under another shape, or some of the rows, differentiable: y shares the elements
// of x.
//   Throws when the number of elements differs, and for rows that are not there.
#pragma once

#include "engine/core/tensor.h"

namespace invp {

Tensor reshape(const Tensor& x, const Shape& shape);

/// (N, ...) -> (N, everything else). Throws for a scalar.
Tensor flatten(const Tensor& x);

/// Rows [begin, end) of the first dimension; the gradient of the others is 0.
Tensor slice_rows(const Tensor& x, std::int64_t begin, std::int64_t end);

}  // namespace invp
