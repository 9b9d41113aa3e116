#include "engine/ops/basic/reduce.h"

#include "engine/autograd/node.h"
#include "engine/core/checks.h"

namespace invp {

namespace {

Tensor scaled_sum(const char* op, const Tensor& x, double scale) {
  check_floating(op, x);
  const Tensor y = Tensor::empty({}, DType::kF32, x.device());
  DISPATCH(x.device(), sum_forward, x, scale, y);
  return record(op, y, {x}, [&] {
    return [shape = x.shape(), dtype = x.dtype(), scale](const Tensor& dy, const Needs&) -> Grads {
      const Tensor dx = Tensor::empty(shape, dtype, dy.device());
      DISPATCH(dy.device(), sum_backward, dy, scale, dx);
      return {dx};
    };
  });
}

}  // namespace

Tensor sum(const Tensor& x) {
  return scaled_sum("sum", x, 1.0);
}

Tensor mean(const Tensor& x) {
  return scaled_sum("mean", x, 1.0 / static_cast<double>(x.numel()));
}

}  // namespace invp
