#include "engine/ops/basic/elementwise.h"

#include "engine/autograd/node.h"
#include "engine/core/checks.h"

namespace invp {

Tensor relu(const Tensor& x) {
  check_floating("relu", x);
  const Tensor y = Tensor::empty_like(x);
  DISPATCH(x.device(), relu_forward, x, y);
  return record("relu", y, {x}, [&] {
    return [y = y.detach()](const Tensor& dy, const Needs&) -> Grads {
      const Tensor dx = Tensor::empty_like(y);
      DISPATCH(y.device(), relu_backward, y, dy, dx);
      return {dx};
    };
  });
}

Tensor add(const Tensor& a, const Tensor& b) {
  check_floating("add", a);
  CHECK(a.shape() == b.shape() && a.dtype() == b.dtype(),
        "[add] needs two tensors of one shape and dtype, got ", a.dtype(), " ", a.shape(), " and ",
        b.dtype(), " ", b.shape());
  check_same_device("add", a, "the other term", b);
  const Tensor y = Tensor::empty_like(a);
  DISPATCH(a.device(), add_forward, a, b, y);
  return record("add", y, {a, b}, [] {
    return [](const Tensor& dy, const Needs&) -> Grads { return {dy, dy}; };
  });
}

}  // namespace invp
