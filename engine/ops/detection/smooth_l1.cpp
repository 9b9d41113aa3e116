#include "engine/ops/detection/smooth_l1.h"

#include "engine/autograd/node.h"
#include "engine/ops/detection/box_checks.h"

namespace invp {

Tensor smooth_l1(const Tensor& x, const Tensor& targets, const Tensor& columns,
                 const SmoothL1Params& params) {
  check_floating("smooth_l1", x);
  SmoothL1 rule{params.beta, 1, 1, nullptr};
  if (columns.defined()) {
    CHECK(x.rank() == 2, "[smooth_l1] with columns x must be (R, W), got ", x.shape());
    CHECK(targets.rank() == 2 && targets.dim(0) == x.dim(0) && targets.dtype() == DType::kF32,
          "[smooth_l1] targets must be f32 of shape (", x.dim(0), ", D), got ", targets.dtype(),
          " ", targets.shape());
    check_same_device("smooth_l1", x, "targets", targets);
    check_part("smooth_l1", "columns", columns, {x.dim(0)}, DType::kI32, x);
    rule = {params.beta, x.dim(1), targets.dim(1), columns.data<std::int32_t>()};
  } else {
    check_part("smooth_l1", "targets", targets, x.shape(), DType::kF32, x);
  }
  CHECK(params.beta >= 0, "[smooth_l1] beta must not be negative, got ", params.beta);

  const Tensor loss = Tensor::empty({}, DType::kF32, x.device());
  DISPATCH(x.device(), smooth_l1_forward, rule, params.scale, x, targets, loss);
  return record("smooth_l1", loss, {x}, [&] {
    return [rule, scale = params.scale, x = x.detach(), targets = targets.detach(),
            columns = columns](const Tensor& dy, const Needs&) -> Grads {
      const Tensor dx = Tensor::empty_like(x);
      DISPATCH(x.device(), smooth_l1_backward, rule, scale, x, targets, dy, dx);
      return {dx};
    };
  });
}

}  // namespace invp
