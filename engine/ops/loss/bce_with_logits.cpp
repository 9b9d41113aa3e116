#include "engine/ops/loss/bce_with_logits.h"

#include "engine/autograd/node.h"
#include "engine/core/checks.h"

namespace invp {

Tensor bce_with_logits(const Tensor& x, const Tensor& targets) {
  return bce_with_logits(x, targets, static_cast<double>(x.numel()));
}

Tensor bce_with_logits(const Tensor& x, const Tensor& targets, double divisor) {
  check_floating("bce_with_logits", x);
  CHECK(targets.dtype() == DType::kF32 && targets.shape() == x.shape(),
        "[bce_with_logits] needs f32 targets of shape ", x.shape(), ", got ", targets.dtype(), " ",
        targets.shape());
  check_same_device("bce_with_logits", x, "targets", targets);

  const Tensor loss = Tensor::empty({}, DType::kF32, x.device());
  DISPATCH(x.device(), bce_with_logits_forward, x, targets, divisor, loss);
  return record("bce_with_logits", loss, {x}, [&] {
    return [x = x.detach(), targets = targets.detach(), divisor](const Tensor& dy,
                                                                 const Needs&) -> Grads {
      const Tensor dx = Tensor::empty_like(x);
      DISPATCH(x.device(), bce_with_logits_backward, x, targets, divisor, dy, dx);
      return {dx};
    };
  });
}

}  // namespace invp
