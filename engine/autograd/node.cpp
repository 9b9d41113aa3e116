#include "engine/autograd/node.h"

#include <algorithm>
#include <atomic>
#include <queue>
#include <utility>

#include "engine/autograd/accumulate.h"
#include "engine/autograd/join.h"

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
/// Nodes with a gradient waiting, the most recently recorded on top: all uses of its output lie
/// behind it.
using ReadyQueue =
    std::priority_queue<std::shared_ptr<Node>, std::vector<std::shared_ptr<Node>>, EarlierFirst>;

// total += gradient, in place only where nobody else sees the elements.
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

/// The operation whose closure runs: where its gradients go, and whose gathered gradient it took
/// over, though they wait in the queue. Closures may call backward() themselves.
class Running {
 public:
  explicit Running(const Node& node) : node_(node), outer_(std::exchange(innermost, this)) {}
  ~Running() { innermost = outer_; }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  static Tensor take_gathered(std::size_t input) {
    CHECK(innermost != nullptr, "[take_gathered] no backward pass runs here");
    return innermost->take(input);
  }

  bool took_from(const Node* node) const { return std::ranges::count(taken_, node) > 0; }

 private:
  Tensor take(std::size_t input) {
    Node* const maker = node_.inputs.at(input).node.get();
    if (maker == nullptr || !maker->pending.defined()) return {};
    taken_.push_back(maker);
    return std::exchange(maker->pending, {});
  }

  inline static thread_local Running* innermost = nullptr;
  const Node& node_;
  std::vector<const Node*> taken_;
  Running* outer_;
};

void send(Edge& edge, Tensor gradient, const Running* from, ReadyQueue& ready) {
  if (edge.node == nullptr) {
    Tensor total = edge.leaf.grad();
    edge.leaf.set_grad({});  // so that `total` is the only handle and can be added to in place
    add_gradient(total, std::move(gradient));
    edge.leaf.set_grad(total);
    return;
  }
  const bool waits =
      edge.node->pending.defined() || (from != nullptr && from->took_from(edge.node.get()));
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

Tensor take_gathered(std::size_t input) {
  return Running::take_gathered(input);
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
  send(root, std::move(seed), nullptr, ready);
  root = {};
  while (!ready.empty()) {
    const std::shared_ptr<Node> node = ready.top();
    ready.pop();
    CHECK(node->backward != nullptr, "[backward] the graph of '", node->name,
          "' was already used and freed");
    node->recipe = nullptr;  // all who would ask for the output again have run
    Grads gradients;
    const Running running(*node);
    {
      const BackwardFunction run = std::exchange(node->backward, nullptr);
      gradients = run(std::exchange(node->pending, {}), node->needs);
    }  // what the operation saved is dropped here
    std::vector<Edge> inputs = std::exchange(node->inputs, {});
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (node->needs[i]) send(inputs[i], std::exchange(gradients.at(i), {}), &running, ready);
    }
  }
}

}  // namespace invp
