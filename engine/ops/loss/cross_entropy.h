// loss = mean over the rows i with label[i] != kIgnoredLabel of  log sum_c exp(x[i,c]) - x[i,
// label[i]] (torch.nn.functional.cross_entropy).
//   x (N,C) f32 or bf16, labels (N) i64 in [0, C) or kIgnoredLabel -> f32 scalar; NaN when no row
//   counts. Gradient: dx[i,c] = (softmax(x[i])[c] - [c = label[i]]) dy / rows that count. Saves x,
//   labels, and log sum exp of each row. Throws for other shapes and dtypes and for labels that are
//   no class; on a GPU, where the host does not wait for labels, such a label makes loss and
//   gradient NaN.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"

namespace invp {

inline constexpr std::int64_t kIgnoredLabel = -100;

Tensor cross_entropy(const Tensor& x, const Tensor& labels);

// log_sum_exp: f32 (N). weight: f32 scalar, 1 / rows that count.
KERNEL(cross_entropy_forward, const Tensor& x, const Tensor& labels, const Tensor& log_sum_exp,
       const Tensor& weight, const Tensor& loss);
KERNEL(cross_entropy_backward, const Tensor& x, const Tensor& labels, const Tensor& log_sum_exp,
       const Tensor& weight, const Tensor& dy, const Tensor& dx);

}  // namespace invp
