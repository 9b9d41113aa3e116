// y[n,p,q,c] = max of x[n,h,w,c] over the window h in [p stride - padding, + kernel), w alike;
// outside x counts as minus infinity.
//   x (N,H,W,C) f32 or bf16 -> y (N,P,Q,C), P = floor((H + 2 padding - kernel) / stride) + 1, Q
//   alike. NaN wins over every number; of equal maxima the first in row order is the one
//   (torch.nn.MaxPool2d). Gradient: dy goes to the maximum of its window. Saves one byte per
//   output: which tap won. Throws for other ranks and dtypes, kernel < 1 or > 15, stride < 1,
//   padding > kernel / 2, windows larger than the padded image.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"
#include "engine/ops/pool/pool_window.h"

namespace invp {

struct MaxPool2dParams {
  int kernel = 3;
  int stride = 2;
  int padding = 1;
};

Tensor max_pool2d(const Tensor& x, const MaxPool2dParams& params = {});

// tap: u8 in the shape of y, r * kernel + s of the winner.
KERNEL(max_pool2d_forward, const PoolAxis& rows, const PoolAxis& columns, const Tensor& x,
       const Tensor& y, const Tensor& tap);
KERNEL(max_pool2d_backward, const PoolAxis& rows, const PoolAxis& columns, const Tensor& tap,
       const Tensor& dy, const Tensor& dx);

}  // namespace invp
