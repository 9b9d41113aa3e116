#include "engine/ops/basic/cast.h"

#include "engine/autograd/node.h"
#include "engine/core/checks.h"

namespace invp {

Tensor cast(const Tensor& x, DType dtype) {
  check_floating("cast", x);
  CHECK(dtype == DType::kF32 || dtype == DType::kBF16, "[cast] goes to f32 or bf16, asked for ",
        dtype);
  if (x.dtype() == dtype) return x;
  const Tensor y = Tensor::empty(x.shape(), dtype, x.device());
  DISPATCH(x.device(), cast, x, y);
  return record("cast", y, {x}, [&] {
    return [back = x.dtype()](const Tensor& dy, const Needs&) -> Grads { return {cast(dy, back)}; };
  });
}

}  // namespace invp
