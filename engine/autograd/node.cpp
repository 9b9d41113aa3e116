#include "engine/autograd/node.h"

#include <algorithm>
#include <atomic>
#include <queue>
#include <utility>

#include "engine/autograd/accumulate.h"

namespace invp {

namespace {

thread_local bool recording = true;

std::uint64_t next_sequence() {
  static std::atomic<std::uint64_t> counter{0};
  return ++counter;
}

struct EarlierFirst {
  bool operator()(const std::shared_ptr<Node>& a, const std::shared_ptr<Node>& b) const {
    return a->sequence < b->sequence;
  }
};
/// Nodes whose gradient waits, the most recently recorded on top: all uses of its output have been
/// dealt with.
using ReadyQueue =
    std::priority_queue<std::shared_ptr<Node>, std::vector<std::shared_ptr<Node>>, EarlierFirst>;

// total += gradient, in place if nothing else shares the elements.
void add_gradient(Tensor& total, Tensor gradient) {
  if (!total.defined()) {
    total = std::move(gradient);
  } else if (total.unique()) {
    accumulate(total, gradient);
  } else {
    Tensor sum = total.clone();
    accumulate(sum, gradient);
    total = std::move(sum);
  }
}

void send(Edge& edge, Tensor gradient, ReadyQueue& ready) {
  if (edge.node == nullptr) {
    Tensor total = edge.leaf.grad();
    edge.leaf.set_grad({});  // makes `total` the only handle, so that it is added to in place
    add_gradient(total, std::move(gradient));
    edge.leaf.set_grad(total);
    return;
  }
  const bool waits = edge.node->pending.defined();
  add_gradient(edge.node->pending, std::move(gradient));
  if (!waits) ready.push(edge.node);
}

}  // namespace

GradMode::GradMode(bool on) : previous_(std::exchange(recording, on)) {}
GradMode::~GradMode() {
  recording = previous_;
}
bool grad_enabled() {
  return recording;
}
bool wants_gradient(const Tensor& tensor) {
  return recording && tensor.defined() && (tensor.requires_grad() || tensor.node() != nullptr);
}

Tensor record(const char* name, Tensor output, const std::vector<Tensor>& inputs,
              const std::function<BackwardFunction()>& save) {
  if (!recording) return output;
  auto node = std::make_shared<Node>(Node{.name = name, .sequence = next_sequence()});
  bool any = false;
  for (const Tensor& input : inputs) {
    const bool needed = wants_gradient(input);
    any = any || needed;
    node->needs.push_back(needed);
    if (!needed) {
      node->inputs.push_back({});
    } else if (input.node() != nullptr) {
      node->inputs.push_back({.node = input.node()});
    } else {
      node->inputs.push_back({.leaf = input});
    }
  }
  if (!any) return output;
  node->backward = save();
  output.set_node(std::move(node));
  return output;
}

Tensor graph_input(const Tensor& x, const std::function<void(Tensor gradient)>& receive) {
  Tensor start = x.detach();
  start.set_node(std::make_shared<Node>(Node{.name = "graph_input",
                                             .sequence = next_sequence(),
                                             .backward = [receive](Tensor dy, const Needs&) {
                                               receive(std::move(dy));
                                               return Grads();
                                             }}));
  return start;
}

void backward(Tensor loss, Tensor seed) {
  CHECK(loss.node() != nullptr,
        "[backward] the loss was not computed from anything that requires a gradient");
  CHECK(seed.defined() || loss.numel() == 1, "[backward] a loss of shape ", loss.shape(),
        " needs a seed gradient");
  CHECK(!seed.defined() || seed.shape() == loss.shape(), "[backward] seed ", seed.shape(),
        " for a loss of shape ", loss.shape());
  const NoGrad no_grad;
  ReadyQueue ready;
  if (!seed.defined()) seed = Tensor::full(loss.shape(), 1.0F, loss.device());
  Edge root{.node = loss.node()};
  loss = {};
  send(root, std::move(seed), ready);
  root = {};
  while (!ready.empty()) {
    const std::shared_ptr<Node> node = ready.top();
    ready.pop();
    CHECK(node->backward != nullptr, "[backward] the graph of '", node->name,
          "' was already used and freed");
    Grads gradients;
    {
      const BackwardFunction run = std::exchange(node->backward, nullptr);
      gradients = run(std::exchange(node->pending, {}), node->needs);
    }  // frees what the operation saved
    std::vector<Edge> inputs = std::exchange(node->inputs, {});
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (node->needs[i]) send(inputs[i], std::exchange(gradients.at(i), {}), ready);
    }
  }
}

}  // namespace invp
