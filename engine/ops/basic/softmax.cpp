#include "engine/ops/basic/softmax.h"

#include "engine/autograd/node.h"
#include "engine/core/checks.h"

namespace invp {

namespace {

Tensor run(const char* op, bool log, const Tensor& x) {
  check_floating(op, x);
  CHECK(x.rank() >= 1, "[", op, "] needs a dimension of classes, got a scalar");
  const Tensor y = Tensor::empty_like(x);
  DISPATCH(x.device(), softmax_forward, log, x, y);
  return record(op, y, {x}, [&] {
    return [log, y = y.detach()](const Tensor& dy, const Needs&) -> Grads {
      const Tensor dx = Tensor::empty_like(y);
      DISPATCH(y.device(), softmax_backward, log, y, dy, dx);
      return {dx};
    };
  });
}

}  // namespace

Tensor softmax(const Tensor& x) {
  return run("softmax", false, x);
}

Tensor log_softmax(const Tensor& x) {
  return run("log_softmax", true, x);
}

}  // namespace invp
