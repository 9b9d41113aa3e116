// y = x in another floating dtype, rounded to nearest even; x itself if it has that dtype already.
//   The gradient is cast back to the dtype of x. Saves nothing. Throws unless both are f32 or bf16.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"

namespace invp {

Tensor cast(const Tensor& x, DType dtype);

KERNEL(cast, const Tensor& x, const Tensor& y);

}  // namespace invp
