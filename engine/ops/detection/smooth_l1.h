// loss = scale * sum of f(x - target), f(d) = d^2 / (2 beta) where |d| < beta, else |d| - beta / 2
// (torch.nn.functional.smooth_l1_loss); beta below 1e-5 gives |d|.
//   x (R, W) f32 or bf16, targets (R, D) f32, columns (R) i32: row r of x takes part with its D
//   elements from columns[r] on, the coordinates of its class for example, or with none where that
//   is -1. Undefined columns: x and targets of one shape, all of it -> f32 scalar, sums in f64.
//   Gradient: scale f'(x - target) dy, 0 where x takes no part; f'(0) = 0. None for targets. Saves
//   all three.
//   Throws for other shapes and dtypes. Does not check the columns: a row whose elements do not lie
//   within x takes no part.
#pragma once

#include <cmath>

#include "engine/core/dispatch.h"
#include "engine/core/host_device.h"
#include "engine/core/tensor.h"

namespace invp {

struct SmoothL1Params {
  float beta = 1;
  double scale = 1;
};

Tensor smooth_l1(const Tensor& x, const Tensor& targets, const Tensor& columns,
                 const SmoothL1Params& params);

/// What both devices compute, element by element.
struct SmoothL1 {
  float beta;
  std::int64_t width;           ///< of a row of x
  std::int64_t taken;           ///< elements of it that have a target
  const std::int32_t* columns;  ///< null: all

  static constexpr float kNoBend = 1e-5F;

  HOST_DEVICE float value(float d) const {
    const float size = std::fabs(d);
    if (beta < kNoBend) return size;
    return size < beta ? 0.5F * size * size / beta : size - 0.5F * beta;
  }
  HOST_DEVICE float slope(float d) const {
    if (beta >= kNoBend && std::fabs(d) < beta) return d / beta;
    return static_cast<float>(d > 0) - static_cast<float>(d < 0) + (d != d ? d : 0);
  }

  /// The term of target element i.
  template <class T>
  HOST_DEVICE float term(const T* x, const float* targets, std::int64_t i) const {
    const std::int64_t row = i / taken;
    const std::int64_t column = columns == nullptr ? 0 : columns[row];
    if (column < 0 || column + taken > width) return 0;
    return value(static_cast<float>(x[row * width + column + i % taken]) - targets[i]);
  }
  /// The gradient of element i of x, without the factors that all share.
  template <class T>
  HOST_DEVICE float gradient(const T* x, const float* targets, std::int64_t i) const {
    const std::int64_t row = i / width;
    const std::int64_t column = columns == nullptr ? 0 : columns[row];
    const std::int64_t of_target = i % width - column;
    if (column < 0 || column + taken > width || of_target < 0 || of_target >= taken) return 0;
    return slope(static_cast<float>(x[i]) - targets[row * taken + of_target]);
  }
};

KERNEL(smooth_l1_forward, const SmoothL1& rule, double scale, const Tensor& x,
       const Tensor& targets, const Tensor& loss);
KERNEL(smooth_l1_backward, const SmoothL1& rule, double scale, const Tensor& x,
       const Tensor& targets, const Tensor& dy, const Tensor& dx);

}  // namespace invp
