// Saves memory at the cost of time: the backward pass computes results again that the forward pass
// did not keep. They have the same bits.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "engine/autograd/node.h"

namespace invp {

/// body(x), without keeping its inner results. body runs unrecorded now, and recorded in the
/// backward pass, where parameters get their gradients as usual. body must compute the same every
/// time. Besides x it may use parameters and constants, but no other recorded results. It must
/// outlive the backward pass, with all it refers to. Bodies may nest. If x needs no gradient, this
/// is body(x).
Tensor recomputed(const std::function<Tensor(Tensor x)>& body, const Tensor& x);

/// compute(); when recomputed() runs a body again, what compute() returned the first time. For side
/// effects, and for small results that are costly to recompute. Kept until the backward pass.
std::vector<Tensor> once(const std::function<std::vector<Tensor>()>& compute);

}  // namespace invp
