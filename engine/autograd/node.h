// Define-by-run reverse-mode differentiation. Each recorded operation is a node holding its inputs
// and a closure that turns the gradient of its output into gradients of its inputs; the closure's
// captures are what the operation saved.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/core/tensor.h"

namespace invp {

/// needs[i]: does input i need a gradient?
using Needs = std::vector<bool>;
/// One gradient per input; undefined where none was needed.
using Grads = std::vector<Tensor>;
/// A closure that takes dy by value owns it: it may overwrite dy if dy is unique, and free it
/// early.
using BackwardFunction = std::function<Grads(Tensor dy, const Needs& needs)>;

/// Where a gradient goes: to the operation that made the input, or into a leaf. Does not keep the
/// elements of other inputs than leaves alive.
struct Edge {
  std::shared_ptr<Node> node;
  Tensor leaf;
};

struct Node {
  const char* name;
  std::uint64_t sequence;  ///< grows with every recorded operation; backward() goes in reverse
  std::vector<Edge> inputs;
  Needs needs;
  BackwardFunction backward;
  Tensor pending;  ///< gradient of the output, summed over its uses while backward() runs
};

/// Makes `output` the result of an operation on `inputs`, and returns it. `save` builds the
/// closure. It is called only if an input needs a gradient, so that nothing is saved in inference.
Tensor record(const char* name, Tensor output, const std::vector<Tensor>& inputs,
              const std::function<BackwardFunction()>& save);

/// The elements of x as the start of a graph of its own: backward() passes the gradient to
/// `receive` and goes no further. What `receive` refers to must live until then.
Tensor graph_input(const Tensor& x, const std::function<void(Tensor gradient)>& receive);

/// Adds d(loss)/d(leaf) to grad() of every leaf that the loss was computed from and that requires a
/// gradient. `loss` has one element, or `seed` gives its gradient. The graph is freed on the way,
/// and a second call throws. Handles that are moved in are released once they are read.
void backward(Tensor loss, Tensor seed = {});

/// While one lives on this thread, operations are recorded (on) or not (off).
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
