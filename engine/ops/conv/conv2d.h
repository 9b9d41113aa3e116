// Two-dimensional convolution (cross-correlation), NHWC images and OHWI weights.
//
//   y[n,p,q,k] = b[k] + sum over r, s, c of k's group: x[n, p*stride - padding + r*dilation,
//   q*stride - padding + s*dilation, c]
//                * w[k,r,s,c]
//   x (N,H,W,C), w (K,R,S,C/groups), b (K) or undefined -> y (N,P,Q,K), P = (H + 2*padding -
//   dilation*(R-1) - 1)/stride + 1
//
// Gradients: dx is the transposed convolution of dy with w, dw the correlation of x with dy, db the
// sum of dy over n, p, q. Saves x and w. x and w are both f32 or both bf16; sums are f32.
#pragma once

#include <compare>

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"

namespace invp {

struct Conv2dParams {
  int stride = 1;
  int padding = 0;
  int dilation = 1;
  int groups = 1;

  friend auto operator<=>(const Conv2dParams&, const Conv2dParams&) = default;
};

/// The extents of one convolution, checked.
struct Conv2dShape {
  std::int64_t N, H, W, C;  ///< images
  std::int64_t K, R, S;     ///< filters and their window
  std::int64_t P, Q;        ///< output
  Conv2dParams params;

  friend auto operator<=>(const Conv2dShape&, const Conv2dShape&) = default;
};

/// Throws Error naming both shapes when x, w and params do not fit together.
Conv2dShape conv2d_shape(const Shape& x, const Shape& w, const Conv2dParams& params);

Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& b = {},
              const Conv2dParams& params = {});

/// What inference does right after a convolution, while the result is still in cache: y =
/// relu?(conv + b + residual?). NaN stays NaN; of -inf the relu may make NaN.
struct Conv2dEpilogue {
  Tensor b;
  Tensor residual;  ///< (N,P,Q,K), or undefined; overwritten if this is the only handle to it
  bool relu = false;
};

/// Not differentiable: throws if a gradient would be recorded.
Tensor conv2d_fused(const Tensor& x, const Tensor& w, Conv2dEpilogue epilogue,
                    const Conv2dParams& params = {});

/// y holds the residual on entry when `add` is set: y = relu?(conv + b + y).
struct Conv2dFusion {
  bool add = false;
  bool relu = false;
};
KERNEL(conv2d_forward, const Conv2dShape& s, const Tensor& x, const Tensor& w, const Tensor& b,
       const Tensor& y, Conv2dFusion fusion);
KERNEL(conv2d_backward_input, const Conv2dShape& s, const Tensor& dy, const Tensor& w,
       const Tensor& dx);
/// db may be undefined.
KERNEL(conv2d_backward_weight, const Conv2dShape& s, const Tensor& dy, const Tensor& x,
       const Tensor& dw, const Tensor& db);

}  // namespace invp
