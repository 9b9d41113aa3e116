// Averages over windows of an image, fixed or adaptive. x (N,H,W,C) f32 or bf16 -> y (N,P,Q,C),
// sums in f32.
//   avg_pool2d: the window of max_pool2d.h; outside x counts as zero and is counted
//   (torch.nn.AvgPool2d, count_include_pad):
//     y = sum of the window / kernel^2.
//   adaptive_avg_pool2d: P and Q are given; window p is [floor(p H / P), ceil((p + 1) H / P)), its
//   own area divides
//     (torch.nn.AdaptiveAvgPool2d). {1, 1} is global average pooling.
//   Gradient: dy / divisor, to every input of the window. Saves nothing.
//   Throws for other ranks and dtypes, for windows that do not fit, and in adaptive pooling for P
//   or Q < 1 and for images of no pixels.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"
#include "engine/ops/pool/pool_window.h"

namespace invp {

struct AvgPool2dParams {
  int kernel = 2;
  int stride = 2;
  int padding = 0;
};

Tensor avg_pool2d(const Tensor& x, const AvgPool2dParams& params);
Tensor adaptive_avg_pool2d(const Tensor& x, std::int64_t height, std::int64_t width);

// One pair for both: the divisor is the whole kernel, or the window's own area when adaptive.
KERNEL(avg_pool2d_forward, const PoolAxis& rows, const PoolAxis& columns, const Tensor& x,
       const Tensor& y);
KERNEL(avg_pool2d_backward, const PoolAxis& rows, const PoolAxis& columns, const Tensor& dy,
       const Tensor& dx);

}  // namespace invp
