#include "engine/ops/basic/scale.h"

#include "engine/core/checks.h"

namespace invp {

Tensor scale(const Tensor& x, const Tensor& factor) {
  CHECK(x.dtype() == DType::kF32 && factor.dtype() == DType::kF32 && factor.numel() == 1,
        "[scale] needs f32 and one factor, got ", x.dtype(), " ", x.shape(), " and ",
        factor.dtype(), " ", factor.shape());
  check_same_device("scale", x, "the factor", factor);
  const Tensor y = Tensor::empty_like(x);
  DISPATCH(x.device(), scale, x, factor, y);
  return y;
}

}  // namespace invp
