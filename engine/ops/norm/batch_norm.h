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
//   batch_norm_add_relu saves y for it.
//   Gradients take over the memory of dy and x where nothing else shares them. Statistics are exact
//   to f32 rounding also where the mean is far larger than the deviation, and every result is the
//   same for any number of threads. NaN in x stays NaN in y. Throws for other shapes and dtypes
//   and, in training, for fewer than two values per channel (an empty batch included).
//
// In training both passes reduce over the batch, and then write. The kernels are cut there, so that
// ranks which share a batch can exchange the reduced numbers in between:
//   forward:   batch_norm_moments -> batch_norm_finish -> batch_norm_forward
//   backward:  batch_norm_gradient_sums -> batch_norm_dx
#pragma once

#include <cstdint>
#include <type_traits>

#include "engine/core/dispatch.h"
#include "engine/core/host_device.h"
#include "engine/core/tensor.h"

namespace invp {

struct BatchNormParams {
  bool training = true;
  float momentum = 0.1F;  ///< share of the new batch in the running statistics
  float eps = 1e-5F;
};

Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                  const Tensor& running_mean, const Tensor& running_var,
                  const BatchNormParams& params = {});
Tensor batch_norm_relu(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                       const Tensor& running_mean, const Tensor& running_var,
                       const BatchNormParams& params = {});
Tensor batch_norm_add_relu(const Tensor& x, const Tensor& residual, const Tensor& gamma,
                           const Tensor& beta, const Tensor& running_mean,
                           const Tensor& running_var, const BatchNormParams& params = {});

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

/// A batch's count of values, mean and sum of squared deviations from it, of every channel. Points
/// into a tensor of shape (3, C), f64.
struct BatchNormMoments {
  HOST_DEVICE BatchNormMoments(double* moments, std::int64_t channels)
      : count(moments), mean(moments + channels), squares(moments + 2 * channels) {}
  double* count;
  double* mean;
  double* squares;
};

/// Sums over a batch, of every channel: of g, and of g (x - mean). Points into a tensor of shape
/// (2, C), f64.
struct BatchNormSums {
  HOST_DEVICE BatchNormSums(double* sums, std::int64_t channels) : g(sums), gx(sums + channels) {}
  /// A sum as a mean over the batch. `share` is 1 / count, or 0 in evaluation, where the means do
  /// not count: 0 then, even for a sum that is NaN.
  HOST_DEVICE static double average(double sum, double share) {
    return share > 0 ? sum * share : 0;
  }
  double* g;
  double* gx;
};

/// Where the backward pass leaves its sums and what it has of gradients by then.
struct BatchNormReduced {
  Tensor sums;       ///< (2, C) f64: BatchNormSums
  Tensor dgamma;     ///< f32 (C); undefined: not wanted
  Tensor dbeta;      ///< likewise
  Tensor dresidual;  ///< as x, for kAddRelu alone; undefined: not wanted. May be dy.
};

/// moments (3, C) f64: BatchNormMoments of x. Numbers of several batches may be merged, by the rule
/// of Chan, Golub and LeVeque (1979), before they are used.
KERNEL(batch_norm_moments, const Tensor& x, const Tensor& moments);
/// From the moments of a batch: mean and inverse_std (f32, C) of batch_norm_forward, and the new
/// running statistics. Every channel has at least two values.
KERNEL(batch_norm_finish, const Tensor& moments, const BatchNormParams& params, const Tensor& mean,
       const Tensor& inverse_std, const Tensor& running_mean, const Tensor& running_var);
/// In evaluation: mean and inverse_std from the running statistics.
KERNEL(batch_norm_take_running, const BatchNormParams& params, const Tensor& running_mean,
       const Tensor& running_var, const Tensor& mean, const Tensor& inverse_std);
/// y. residual is undefined but for kAddRelu.
KERNEL(batch_norm_forward, BatchNormFusion fusion, const Tensor& x, const BatchNormScaling& scaling,
       const Tensor& residual, const Tensor& y);

/// Everything of the backward pass but dx. y is undefined but for kAddRelu. dgamma and dbeta are
/// the sums over this batch alone, whatever is added to `sums` afterwards.
KERNEL(batch_norm_gradient_sums, BatchNormFusion fusion, const Tensor& x,
       const BatchNormScaling& scaling, const Tensor& y, const Tensor& dy,
       const BatchNormReduced& reduced);
/// dx, from sums over `count` values per channel; in evaluation, where mean and inverse_std do not
/// depend on x, count is 0 and the sums are not used. For kAddRelu, g = dresidual may be given as
/// dy with kNone, which spares reading y. dx may be x or dy.
KERNEL(batch_norm_dx, BatchNormFusion fusion, const Tensor& x, const BatchNormScaling& scaling,
       const Tensor& y, const Tensor& dy, const Tensor& sums, double count, const Tensor& dx);

}  // namespace invp
