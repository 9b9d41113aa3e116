// Two-dimensional convolution (cross-correlation), NHWC images and OHWI weights.
//
//   y[n,p,q,k] = b[k] + sum over r, s, c of k's group: x[n, p*stride - padding + r*dilation,
//   q*stride - padding + s*dilation, c]
//                * w[k,r,s,c]
//   x (N,H,W,C), w (K,R,S,C/groups), b (K) or undefined -> y (N,P,Q,K), P = (H + 2*padding -
//   dilation*(R-1) - 1)/stride + 1
//
// Gradients: dx is the transposed convolution of dy with w, dw the correlation of x with dy, db the
// sum of dy over n, p, q. dx takes in what other uses of x have sent back (autograd/join.h). Saves
// x (or, of a batch norm's output, the offer to make it again: autograd/recompute.h) and w. x and w
// are both f32 or both bf16; sums are f32.
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

struct Conv2dWithSums {
  Tensor y;
  Tensor sums;  ///< f32 (2, K): over n, p, q of y and of y², for batch_norm; or undefined
};

/// conv2d without a bias, for a batch norm in training behind it. The sums come with the outputs of
/// a convolution in bf16 on a GPU on which that was measured to be faster than two kernels, one of
/// which reads y again (INVP_JOIN_PASSES: conv2d_plans_cuda.h). They are sums in f32, of y before
/// or after it was rounded. Elsewhere (on the CPU, in f32, in deterministic runs) they are
/// undefined, and y has conv2d's bits.
Conv2dWithSums conv2d_with_sums(const Tensor& x, const Tensor& w, const Conv2dParams& params = {});

/// What inference does right behind a convolution while the result is still in cache: y =
/// relu?(conv + b + residual?).
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
/// Makes sums, or leaves them undefined.
KERNEL(conv2d_forward_with_sums, const Conv2dShape& s, const Tensor& x, const Tensor& w,
       const Tensor& y, Tensor& sums);
KERNEL(conv2d_backward_input, const Conv2dShape& s, const Tensor& dy, const Tensor& w,
       const Tensor& dx);
/// dx = the gradient of the images + gathered.
KERNEL(conv2d_backward_input_join, const Conv2dShape& s, const Tensor& dy, const Tensor& w,
       const Tensor& gathered, const Tensor& dx);
/// db may be undefined.
KERNEL(conv2d_backward_weight, const Conv2dShape& s, const Tensor& dy, const Tensor& x,
       const Tensor& dw, const Tensor& db);

}  // namespace invp
