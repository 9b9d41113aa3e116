#include "engine/ops/norm/batch_norm.h"

#include <utility>

#include "engine/autograd/recompute.h"
#include "engine/core/checks.h"

namespace invp {

namespace {

const char* name_of(BatchNormFusion fusion) {
  switch (fusion) {
    case BatchNormFusion::kNone: return "batch_norm";
    case BatchNormFusion::kRelu: return "batch_norm_relu";
    case BatchNormFusion::kAddRelu: return "batch_norm_add_relu";
  }
  return "?";
}

void check(const char* op, const Tensor& x, const Tensor& gamma, const Tensor& beta,
           const Tensor& running_mean, const Tensor& running_var, const BatchNormParams& params) {
  check_floating(op, x);
  CHECK(x.rank() == 2 || x.rank() == 4, "[", op, "] needs x of (N,H,W,C) or (N,C), got ",
        x.shape());
  check_per_channel(op, x, "gamma", gamma);
  check_per_channel(op, x, "beta", beta);
  check_per_channel(op, x, "running_mean", running_mean);
  check_per_channel(op, x, "running_var", running_var);
  CHECK(!params.training || x.dim(-1) == 0 || x.numel() / x.dim(-1) >= 2, "[", op,
        "] training needs more than one value per channel, got x ", x.shape());
}

/// Room for `numbers` sums per channel of x.
Tensor per_channel(std::int64_t numbers, const Tensor& x) {
  const MemoryScope scope(MemoryUse::kWorkspace);
  return Tensor::empty({numbers, x.dim(-1)}, DType::kF64, x.device());
}

/// Mean and 1 / sqrt(var + eps), computed once, also when the body is recomputed: the running
/// statistics must not move twice.
BatchNormScaling scaling_of(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                            const Tensor& running_mean, const Tensor& running_var,
                            const BatchNormParams& params) {
  const std::vector<Tensor> statistics = once([&] {
    const Tensor mean = Tensor::empty_like(gamma);
    const Tensor inverse_std = Tensor::empty_like(gamma);
    if (params.training) {
      const Tensor moments = per_channel(3, x);
      DISPATCH(x.device(), batch_norm_moments, x, moments);
      DISPATCH(x.device(), batch_norm_finish, moments, params, mean, inverse_std, running_mean,
               running_var);
    } else {
      DISPATCH(x.device(), batch_norm_take_running, params, running_mean, running_var, mean,
               inverse_std);
    }
    return std::vector<Tensor>{mean, inverse_std};
  });
  return {.mean = statistics[0],
          .inverse_std = statistics[1],
          .gamma = gamma.detach(),
          .beta = beta.detach()};
}

Tensor normalized(BatchNormFusion fusion, const Tensor& x, const BatchNormScaling& scaling,
                  const Tensor& residual) {
  const Tensor y = Tensor::empty_like(x);
  DISPATCH(x.device(), batch_norm_forward, fusion, x, scaling, residual, y);
  return y;
}

/// Room for a gradient like `given`: its own memory, if this is its only handle. The kernels read
/// an element before they write it.
Tensor in_place_of(const Tensor& given) {
  return given.unique() ? given : Tensor::empty_like(given);
}

/// What the forward pass keeps. y: only where a residual was added.
struct Kept {
  BatchNormFusion fusion;
  bool training;
  Tensor x;
  BatchNormScaling scaling;
  Tensor y;

  Grads gradients(const Tensor& dy, const Needs& needs) const {
    BatchNormReduced reduced{.sums = per_channel(2, x)};
    // dresidual is written while dy is read; dx is computed from dresidual then.
    if (needs[3]) reduced.dresidual = in_place_of(dy);
    Tensor dx;
    if (needs[0]) dx = in_place_of(needs[3] ? x : dy);
    {
      const MemoryScope scope(MemoryUse::kGradients);
      if (needs[1]) reduced.dgamma = Tensor::empty_like(scaling.gamma);
      if (needs[2]) reduced.dbeta = Tensor::empty_like(scaling.beta);
    }
    DISPATCH(x.device(), batch_norm_gradient_sums, fusion, x, scaling, y, dy, reduced);
    if (dx.defined()) write_dx(dy, reduced, dx);
    return {dx, reduced.dgamma, reduced.dbeta, reduced.dresidual};
  }

 private:
  void write_dx(const Tensor& dy, const BatchNormReduced& reduced, const Tensor& dx) const {
    const std::int64_t channels = x.dim(-1);
    const double count = training && channels > 0
                             ? static_cast<double>(x.numel()) / static_cast<double>(channels)
                             : 0.0;
    const bool has_g = reduced.dresidual.defined();
    DISPATCH(x.device(), batch_norm_dx, has_g ? BatchNormFusion::kNone : fusion, x, scaling,
             has_g ? Tensor() : y, has_g ? reduced.dresidual : dy, reduced.sums, count, dx);
  }
};

Tensor run(BatchNormFusion fusion, const Tensor& x, const Tensor& residual, const Tensor& gamma,
           const Tensor& beta, const Tensor& running_mean, const Tensor& running_var,
           const BatchNormParams& params) {
  const char* const op = name_of(fusion);
  check(op, x, gamma, beta, running_mean, running_var, params);
  const bool adds = fusion == BatchNormFusion::kAddRelu;
  if (adds) {
    CHECK(residual.shape() == x.shape() && residual.dtype() == x.dtype(), "[", op,
          "] the residual must be ", x.dtype(), " of shape ", x.shape(), ", got ", residual.dtype(),
          " ", residual.shape());
    check_same_device(op, x, "the residual", residual);
  }

  const BatchNormScaling scaling = scaling_of(x, gamma, beta, running_mean, running_var, params);
  const Tensor y = normalized(fusion, x, scaling, residual);
  record(op, y, {x, gamma, beta, residual}, [&] {
    return [kept = Kept{.fusion = fusion,
                        .training = params.training,
                        .x = x.detach(),
                        .scaling = scaling,
                        .y = adds ? y.detach() : Tensor()}](const Tensor& dy, const Needs& needs) {
      return kept.gradients(dy, needs);
    };
  });
  return y;
}

}  // namespace

Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                  const Tensor& running_mean, const Tensor& running_var,
                  const BatchNormParams& params) {
  return run(BatchNormFusion::kNone, x, {}, gamma, beta, running_mean, running_var, params);
}

Tensor batch_norm_relu(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                       const Tensor& running_mean, const Tensor& running_var,
                       const BatchNormParams& params) {
  return run(BatchNormFusion::kRelu, x, {}, gamma, beta, running_mean, running_var, params);
}

Tensor batch_norm_add_relu(const Tensor& x, const Tensor& residual, const Tensor& gamma,
                           const Tensor& beta, const Tensor& running_mean,
                           const Tensor& running_var, const BatchNormParams& params) {
  return run(BatchNormFusion::kAddRelu, x, residual, gamma, beta, running_mean, running_var,
             params);
}

}  // namespace invp
