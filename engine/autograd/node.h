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
/// dy belongs to the closure: one that takes it by value may overwrite it if it is unique, and may
/// let it go as soon as it is read.
using BackwardFunction = std::function<Grads(Tensor dy, const Needs& needs)>;

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
  std::function<Tensor()> recipe;  ///< makes the output again (autograd/recompute.h); or none
  Tensor pending;  ///< gradient of the output, summed over its uses while backward() runs
};

/// Makes `output` the result of an operation on `inputs`. `save` builds the closure and is only
/// called when a gradient will be wanted, so that nothing is saved in inference. Returns the
/// output.
Tensor record(const char* name, Tensor output, const std::vector<Tensor>& inputs,
              const std::function<BackwardFunction()>& save);

/// The elements of x at the start of a graph of its own: backward() hands the gradient to
/// `receive`, which must live until then, and goes no further.
Tensor graph_input(const Tensor& x, const std::function<void(Tensor gradient)>& receive);

/// d(loss)/d(leaf) is added to grad() of every leaf that the loss was computed from and that
/// requires one. `loss` has one element, or `seed` gives its gradient. The graph is freed on the
/// way; a second call throws. Handles moved in are let go once they are read.
void backward(Tensor loss, Tensor seed = {});

/// While one lives on this thread, operations are recorded or not.
class GradMode {
 public:
  explicit GradMode(bool on);
  ~GradMode();
  GradMode(const GradMode&) = delete;
  GradMode& operator=(const GradMode&) = delete;

 private:
  bool previous_;
};
/// While one lives on this thread, nothing is recorded.
class NoGrad : public GradMode {
 public:
  NoGrad() : GradMode(false) {}
};
bool grad_enabled();
/// Would an operation on this tensor be recorded?
bool wants_gradient(const Tensor& tensor);

}  // namespace invp
