#include "engine/ops/pool/avg_pool2d.h"

#include "engine/autograd/node.h"
#include "engine/core/checks.h"

namespace invp {

namespace {

Tensor pool(const char* op, const Tensor& x, const PoolAxis& rows, const PoolAxis& columns) {
  const Tensor y =
      Tensor::empty({x.dim(0), rows.out, columns.out, x.dim(3)}, x.dtype(), x.device());
  DISPATCH(x.device(), avg_pool2d_forward, rows, columns, x, y);
  return record(op, y, {x}, [&] {
    return [rows, columns, shape = x.shape()](const Tensor& dy, const Needs&) -> Grads {
      const Tensor dx = Tensor::empty(shape, dy.dtype(), dy.device());
      DISPATCH(dy.device(), avg_pool2d_backward, rows, columns, dy, dx);
      return {dx};
    };
  });
}

}  // namespace

Tensor avg_pool2d(const Tensor& x, const AvgPool2dParams& params) {
  check_floating("avg_pool2d", x);
  const PoolAxes axes =
      pool_axes("avg_pool2d", x.shape(), params.kernel, params.stride, params.padding);
  return pool("avg_pool2d", x, axes.rows, axes.columns);
}

Tensor adaptive_avg_pool2d(const Tensor& x, std::int64_t height, std::int64_t width) {
  check_floating("adaptive_avg_pool2d", x);
  CHECK(x.rank() == 4 && x.dim(1) > 0 && x.dim(2) > 0,
        "[adaptive_avg_pool2d] needs x of (N,H,W,C) with pixels, got ", x.shape());
  CHECK(height >= 1 && width >= 1, "[adaptive_avg_pool2d] cannot make ", height, " x ", width,
        " pixels");
  return pool("adaptive_avg_pool2d", x, {.in = x.dim(1), .out = height, .adaptive = true},
              {.in = x.dim(2), .out = width, .adaptive = true});
}

}  // namespace invp
