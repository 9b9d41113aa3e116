// The best k of each row, and the order in which the operations of detection take scores: the
// higher first, of equals the lower index; NaN takes no part.
//   scores (B, n) f32 -> (B, k) i32: indices in that order, -1 where fewer than k take part.
//   Not differentiable. Throws for other shapes and dtypes.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"

namespace invp {

Tensor top_scores(const Tensor& scores, std::int64_t k);

KERNEL(top_scores, const Tensor& scores, const Tensor& best);

}  // namespace invp
