#include "engine/ops/basic/l2_normalize.h"

#include "engine/autograd/node.h"
#include "engine/core/checks.h"

namespace invp {

Tensor l2_normalize(const Tensor& x, float eps) {
  check_floating("l2_normalize", x);
  CHECK(x.rank() >= 1, "[l2_normalize] needs vectors, got a scalar");
  CHECK(eps > 0, "[l2_normalize] eps must be positive, got ", eps);

  const std::int64_t vectors = x.dim(-1) == 0 ? 0 : x.numel() / x.dim(-1);
  const Tensor y = Tensor::empty_like(x);
  const Tensor inverse_length = Tensor::empty({vectors}, DType::kF32, x.device());
  DISPATCH(x.device(), l2_normalize_forward, x, eps, y, inverse_length);

  return record("l2_normalize", y, {x}, [&] {
    return [x = x.detach(), eps, inverse_length](const Tensor& dy, const Needs&) -> Grads {
      const Tensor dx = Tensor::empty_like(x);
      DISPATCH(x.device(), l2_normalize_backward, x, eps, inverse_length, dy, dx);
      return {dx};
    };
  });
}

}  // namespace invp
