// y = x / max(|x|, eps) for every vector along the last dimension, |x| its Euclidean length
// (torch.nn.functional.normalize).
//   x (..., D) f32 or bf16 -> y of the same shape and dtype; sums in f32.
//   Gradient: dx = (dy - y (y . dy)) / |x|, or dy / eps where |x| < eps. Saves x and 1 / max(|x|,
//   eps). Throws for other dtypes, rank 0 and eps <= 0.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"

namespace invp {

Tensor l2_normalize(const Tensor& x, float eps = 1e-12F);

// inverse_length: f32, one per vector.
KERNEL(l2_normalize_forward, const Tensor& x, float eps, const Tensor& y,
       const Tensor& inverse_length);
KERNEL(l2_normalize_backward, const Tensor& x, float eps, const Tensor& inverse_length,
       const Tensor& dy, const Tensor& dx);

}  // namespace invp
