// Define-by-run reverse-mode differentiation. Each recorded operation is a node holding its inputs
// and a closure that turns the gradient of its output into gradients of its inputs; the closure's
// captures are what the operation saved.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/core/tensor.h"

namespace invp {

/// needs[i]: does input i want a gradient?
using Needs = std::vector<bool>;
/// One gradient an input; undefined where none was needed.
using Grads = std::vector<Tensor>;
using BackwardFunction = std::function<Grads(const Tensor& dy, const Needs& needs)>;

/// Where a gradient goes: on to the operation that made the input, or into a leaf. Keeps no
/// elements of inputs alive.
struct Edge {
  std::shared_ptr<Node> node;
  Tensor leaf;
};

struct Node {
  const char* name;
  std::uint64_t sequence;  ///< grows with every recorded operation: reverse order is a valid order
  std::vector<Edge> inputs;
  Needs needs;
  BackwardFunction backward;
  Tensor pending;  ///< gradient of the output, summed over its uses while backward() runs
};

/// Makes `output` the result of an operation on `inputs`. `save` builds the closure and is only
/// called when a gradient will be wanted, so that nothing is saved in inference. Returns the
/// output.
Tensor record(const char* name, Tensor output, const std::vector<Tensor>& inputs,
              const std::function<BackwardFunction()>& save);

/// d(loss)/d(leaf) is added to grad() of every leaf that the loss was computed from and that
/// requires one. `loss` has one element, or `seed` gives its gradient. The graph is freed on the
/// way; a second call throws.
void backward(const Tensor& loss, const Tensor& seed = {});

/// While one lives on this thread, nothing is recorded.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool previous_;
};
bool grad_enabled();

}  // namespace invp
