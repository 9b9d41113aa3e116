#include "engine/ops/loss/cross_entropy.h"

#include "engine/autograd/node.h"
#include "engine/core/checks.h"

namespace invp {

Tensor cross_entropy(const Tensor& x, const Tensor& labels) {
  check_floating("cross_entropy", x);
  CHECK(x.rank() == 2, "[cross_entropy] needs logits of (N,C), got ", x.shape());
  CHECK(labels.dtype() == DType::kI64 && labels.shape() == Shape{x.dim(0)},
        "[cross_entropy] needs one i64 label per row of ", x.shape(), ", got ", labels.dtype(), " ",
        labels.shape());
  check_same_device("cross_entropy", x, "labels", labels);

  const Tensor log_sum_exp = Tensor::empty({x.dim(0)}, DType::kF32, x.device());
  const Tensor weight = Tensor::empty({}, DType::kF32, x.device());
  const Tensor loss = Tensor::empty({}, DType::kF32, x.device());
  DISPATCH(x.device(), cross_entropy_forward, x, labels, log_sum_exp, weight, loss);

  return record("cross_entropy", loss, {x}, [&] {
    return [x = x.detach(), labels, log_sum_exp, weight](const Tensor& dy, const Needs&) -> Grads {
      const Tensor dx = Tensor::empty_like(x);
      DISPATCH(x.device(), cross_entropy_backward, x, labels, log_sum_exp, weight, dy, dx);
      return {dx};
    };
  });
}

}  // namespace invp
