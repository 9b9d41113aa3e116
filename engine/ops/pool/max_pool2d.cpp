#include "engine/ops/pool/max_pool2d.h"

#include "engine/autograd/node.h"
#include "engine/core/checks.h"

namespace invp {

Tensor max_pool2d(const Tensor& x, const MaxPool2dParams& params) {
  constexpr int kLargestKernel = 15;  // 225 taps: their number fits a byte
  check_floating("max_pool2d", x);
  CHECK(params.kernel >= 1 && params.kernel <= kLargestKernel, "[max_pool2d] kernel must be 1 to ",
        kLargestKernel, ", got ", params.kernel);
  const PoolAxes axes =
      pool_axes("max_pool2d", x.shape(), params.kernel, params.stride, params.padding);

  const Tensor y =
      Tensor::empty({x.dim(0), axes.rows.out, axes.columns.out, x.dim(3)}, x.dtype(), x.device());
  const Tensor tap = Tensor::empty(y.shape(), DType::kU8, x.device());
  DISPATCH(x.device(), max_pool2d_forward, axes.rows, axes.columns, x, y, tap);

  return record("max_pool2d", y, {x}, [&] {
    return [axes, tap, shape = x.shape()](const Tensor& dy, const Needs&) -> Grads {
      const Tensor dx = Tensor::empty(shape, dy.dtype(), dy.device());
      DISPATCH(dy.device(), max_pool2d_backward, axes.rows, axes.columns, tap, dy, dx);
      return {dx};
    };
  });
}

}  // namespace invp
