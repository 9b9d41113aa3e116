#include "engine/autograd/recompute.h"

#include <utility>

namespace invp {

namespace {

/// What the calls of once() in a body returned, in their order.
using Kept = std::vector<std::vector<Tensor>>;

/// A body that is running, the first time or again; inside others, if they nest.
class Run {
 public:
  enum class Time { kFirst, kAgain };

  Run(Time time, Kept& kept) : time_(time), kept_(kept), outer_(std::exchange(innermost, this)) {}
  ~Run() { innermost = outer_; }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  static std::vector<Tensor> once(const std::function<std::vector<Tensor>()>& compute) {
    return innermost == nullptr ? compute() : innermost->answer(compute);
  }

 private:
  std::vector<Tensor> answer(const std::function<std::vector<Tensor>()>& compute) {
    if (time_ == Time::kAgain) {
      CHECK(next_ < kept_.size(), "[recomputed] the body did not do the same the second time");
      return std::move(kept_[next_++]);
    }
    // This body's first run may be part of the second run of a body around it.
    innermost = outer_;
    kept_.push_back(once(compute));
    innermost = this;
    return kept_.back();
  }

  inline static thread_local Run* innermost = nullptr;
  Time time_;
  Kept& kept_;
  std::size_t next_ = 0;
  Run* outer_;
};

using Body = std::function<Tensor(Tensor)>;

Tensor gradient_through(const Body& body, Kept& kept, Tensor x, Tensor dy) {
  Tensor dx;
  x = graph_input(x, [&dx](Tensor gradient) { dx = std::move(gradient); });
  Tensor y;
  {
    const GradMode grad(true);
    const Run run(Run::Time::kAgain, kept);
    y = body(std::move(x));
  }
  backward(std::move(y), std::move(dy));
  CHECK(dx.defined(), "[recomputed] the body did not use its input");
  return dx;
}

}  // namespace

Tensor recomputed(const Body& body, const Tensor& x) {
  if (!wants_gradient(x)) return body(x);
  auto kept = std::make_shared<Kept>();
  const auto first_time = [&] {
    const NoGrad no_grad;
    const Run run(Run::Time::kFirst, *kept);
    return body(x.detach());
  };
  return record("recomputed", first_time(), {x}, [&] {
    return [body, kept, x = x.detach()](Tensor dy, const Needs&) mutable -> Grads {
      return {gradient_through(body, *kept, std::move(x), std::move(dy))};
    };
  });
}

std::vector<Tensor> once(const std::function<std::vector<Tensor>()>& compute) {
  return Run::once(compute);
}

}  // namespace invp
