// Batch normalization in double precision, by its definition, and problems to hold it against.
#pragma once

#include <algorithm>
#include <cmath>

#include "engine/ops/norm/batch_norm.h"
#include "tests/support/devices.h"
#include "tests/support/gradient.h"

namespace invp::testing::batch_norm_oracle {

using Fusion = BatchNormFusion;

struct Problem {
  Shape shape;
  Fusion fusion;
  bool training;
  double eps = 1e-5;
  Values x, residual, gamma, beta, running_mean, running_var, dy;

  std::size_t channels() const { return static_cast<std::size_t>(shape[-1]); }
  std::size_t rows() const { return x.size() / channels(); }
};

inline Problem make_problem(const Shape& shape, Fusion fusion, bool training) {
  const std::int64_t n = shape.numel();
  const std::int64_t channels = shape[-1];
  return {.shape = shape,
          .fusion = fusion,
          .training = training,
          .x = random_values(1, n),
          .residual = random_values(2, n),
          .gamma = random_values(3, channels),
          .beta = random_values(4, channels),
          .running_mean = random_values(5, channels),
          .running_var = random_values(6, channels, 0.5, 2),
          .dy = random_values(7, n)};
}

struct Result {
  Values y, mean, var;  // var divided by the count
  Values dx, dresidual, dgamma, dbeta;
  double dx_terms = 0;  // of two values per channel, hardly anything of these is left in dx
};

inline Result reference(const Problem& p) {
  Result r{.y = p.x,
           .mean = p.running_mean,
           .var = p.running_var,
           .dx = p.x,
           .dresidual = p.x,
           .dgamma = Values(p.channels()),
           .dbeta = Values(p.channels())};
  const auto rows = static_cast<double>(p.rows());
  for (std::size_t c = 0; c < p.channels(); ++c) {
    if (p.training) {
      r.mean[c] = r.var[c] = 0;
      for (std::size_t m = 0; m < p.rows(); ++m) r.mean[c] += p.x[m * p.channels() + c] / rows;
      for (std::size_t m = 0; m < p.rows(); ++m) {
        const double away = p.x[m * p.channels() + c] - r.mean[c];
        r.var[c] += away * away / rows;
      }
    }
    const double inverse = 1 / std::sqrt(r.var[c] + p.eps);
    double g_sum = 0;
    double gt_sum = 0;
    for (std::size_t i = c; i < p.x.size(); i += p.channels()) {
      const double t = (p.x[i] - r.mean[c]) * inverse;
      r.y[i] = p.gamma[c] * t + p.beta[c] + (p.fusion == Fusion::kAddRelu ? p.residual[i] : 0);
      if (p.fusion != Fusion::kNone) r.y[i] = std::max(r.y[i], 0.0);
      r.dresidual[i] = p.fusion == Fusion::kNone || r.y[i] > 0 ? p.dy[i] : 0;
      g_sum += r.dresidual[i];
      gt_sum += r.dresidual[i] * t;
    }
    r.dbeta[c] = g_sum;
    r.dgamma[c] = gt_sum;
    for (std::size_t i = c; i < p.x.size(); i += p.channels()) {
      const double t = (p.x[i] - r.mean[c]) * inverse;
      r.dx[i] = r.dresidual[i];
      if (p.training) r.dx[i] -= g_sum / rows + t * gt_sum / rows;
      r.dx[i] *= p.gamma[c] * inverse;
      r.dx_terms = std::max(r.dx_terms, std::abs(p.dy[i] * p.gamma[c] * inverse));
    }
  }
  return r;
}

/// All tensors of a problem on a device, the differentiable ones as leaves.
struct Inputs {
  Inputs(const Problem& p, Device device)
      : x(leaf(p.x, p.shape, device)),
        residual(leaf(p.residual, p.shape, device)),
        gamma(leaf(p.gamma, {p.shape[-1]}, device)),
        beta(leaf(p.beta, {p.shape[-1]}, device)),
        running_mean(tensor(p.running_mean, {p.shape[-1]}, device)),
        running_var(tensor(p.running_var, {p.shape[-1]}, device)) {}

  Tensor run(const Problem& p, DType dtype) const {
    const BatchNormParams params{.training = p.training, .eps = static_cast<float>(p.eps)};
    const Tensor in = cast(x, dtype);
    switch (p.fusion) {
      case Fusion::kNone: return batch_norm(in, gamma, beta, running_mean, running_var, params);
      case Fusion::kRelu:
        return batch_norm_relu(in, gamma, beta, running_mean, running_var, params);
      case Fusion::kAddRelu:
        return batch_norm_add_relu(in, cast(residual, dtype), gamma, beta, running_mean,
                                   running_var, params);
    }
    return {};
  }

  Tensor x, residual, gamma, beta, running_mean, running_var;
};

}  // namespace invp::testing::batch_norm_oracle
