// One step of stochastic gradient descent on many parameters in one pass: reads weight, gradient
// and momentum once, writes weight and momentum once. Gradients are never modified.
//   g' = g + weight_decay * w       coupled L2 decay
//   v  = momentum * v + g'          on the first step v = g', as in PyTorch
//   w  = w - lr * v
// All tensors f32, a parameter's three of one shape and device. Throws Error otherwise. With
// momentum 0, v stays unread.
#pragma once

#include <span>

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"

namespace invp {

struct SgdHyper {
  double lr = 0.03;
  double momentum = 0.9;
  double weight_decay = 0;
};

struct SgdItem {
  Tensor weight, gradient, momentum;
  bool first = false;  ///< the momentum holds nothing yet
};

void sgd_step(std::span<const SgdItem> items, const SgdHyper& hyper);

KERNEL(sgd_step, std::span<const SgdItem> items, const SgdHyper& hyper);

}  // namespace invp
