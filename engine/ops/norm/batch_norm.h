// Batch normalisation, alone and fused with what follows it in a residual block:
//   batch_norm:           y = gamma (x - mean) / sqrt(var + eps) + beta
//   batch_norm_relu:      y = max(that, 0)
//   batch_norm_add_relu:  y = max(that + residual, 0)
//   x (N,H,W,C) or (N,C), f32 or bf16; y and residual alike. gamma, beta, running_mean,
//   running_var: f32 (C). C is the last dimension. Training: mean and var are those of the batch,
//   var divided by the count M = N H W; afterwards
//     running = (1 - momentum) running + momentum batch, with var divided by M - 1 (Ioffe and
//     Szegedy 2015; torch.nn.BatchNorm2d).
//   Evaluation: mean and var are the running ones, which stay as they are; the gradient treats them
//   as constants. Gradient, with g = dy where y > 0 (without relu: dy), t = (x - mean) / sqrt(var +
//   eps) and averages over the M values of a channel:
//     dresidual = g, dbeta = sum g, dgamma = sum g t,
//     dx = gamma / sqrt(var + eps) (g - average g - t average(g t)); in evaluation without the two
//     averages.
//   Saves x, mean, 1 / sqrt(var + eps); the sign of y is recomputed from x, only
//   batch_norm_add_relu saves y for it. The others offer to make y again (autograd/recompute.h).
//   Gradients take over the memory of dy and x where nobody else holds them. Statistics are exact
//   to f32 rounding also where the mean is far larger than the deviation, and every result is the
//   same for any number of threads. NaN in x stays NaN in y. Throws for other shapes and dtypes
//   and, in training, for fewer than two values a channel (an empty batch included).
#pragma once

#include <cstdint>
#include <type_traits>

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"

namespace invp {

struct BatchNormParams {
  bool training = true;
  float momentum = 0.1F;  ///< share of the new batch in the running statistics
  float eps = 1e-5F;
};

/// sums: what conv2d_with_sums made beside x, or undefined. In training on a GPU the statistics
/// then come from it, and x is not read for them: var = sum x² / M - mean². If sums of M values are
/// off by e of the sum of their magnitudes, var is off by at most 200 e of itself: where the mean
/// is further than eight deviations from zero (and so wherever rounding leaves no variance, or a
/// negative one), x is read after all.
Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                  const Tensor& running_mean, const Tensor& running_var,
                  const BatchNormParams& params = {}, const Tensor& sums = {});
Tensor batch_norm_relu(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                       const Tensor& running_mean, const Tensor& running_var,
                       const BatchNormParams& params = {}, const Tensor& sums = {});
Tensor batch_norm_add_relu(const Tensor& x, const Tensor& residual, const Tensor& gamma,
                           const Tensor& beta, const Tensor& running_mean,
                           const Tensor& running_var, const BatchNormParams& params = {},
                           const Tensor& sums = {});

enum class BatchNormFusion : std::uint8_t { kNone, kRelu, kAddRelu };

/// Calls body with the fusion as a compile-time constant.
template <class Body>
void dispatch_fusion(BatchNormFusion fusion, const Body& body) {
  using enum BatchNormFusion;
  switch (fusion) {
    case kNone: return body(std::integral_constant<BatchNormFusion, kNone>{});
    case kRelu: return body(std::integral_constant<BatchNormFusion, kRelu>{});
    case kAddRelu: return body(std::integral_constant<BatchNormFusion, kAddRelu>{});
  }
}

/// What normalises: f32 (C) each.
struct BatchNormScaling {
  Tensor mean;
  Tensor inverse_std;
  Tensor gamma;
  Tensor beta;
};

/// Undefined where not wanted.
struct BatchNormGradients {
  Tensor dx;
  Tensor dresidual;
  Tensor dgamma;
  Tensor dbeta;
};

// Writes mean and inverse_std of the batch and updates the running statistics, or takes them from
// the running ones. sums may be undefined; the CPU always reads x.
KERNEL(batch_norm_statistics, const Tensor& x, const Tensor& sums, const BatchNormParams& params,
       const Tensor& mean, const Tensor& inverse_std, const Tensor& running_mean,
       const Tensor& running_var);
// residual is undefined but for kAddRelu.
KERNEL(batch_norm_forward, BatchNormFusion fusion, const Tensor& x, const BatchNormScaling& scaling,
       const Tensor& residual, const Tensor& y);
// y is undefined but for kAddRelu. training: mean and inverse_std depend on x. dresidual may be dy,
// and dx may be x, or dy where dresidual is not asked for.
KERNEL(batch_norm_backward, BatchNormFusion fusion, bool training, const Tensor& x,
       const BatchNormScaling& scaling, const Tensor& y, const Tensor& dy,
       const BatchNormGradients& gradients);

}  // namespace invp
