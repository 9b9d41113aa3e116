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
        "] training needs more than one value a channel, got x ", x.shape());
}

/// Mean and 1 / sqrt(var + eps), computed once: the running statistics move once.
BatchNormScaling scaling_of(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                            const Tensor& running_mean, const Tensor& running_var,
                            const BatchNormParams& params, const Tensor& sums) {
  const std::vector<Tensor> statistics = once([&] {
    std::vector<Tensor> fresh{Tensor::empty_like(gamma), Tensor::empty_like(gamma)};
    DISPATCH(x.device(), batch_norm_statistics, x, sums, params, fresh[0], fresh[1], running_mean,
             running_var);
    return fresh;
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

/// Room for a gradient like `given`: its own memory, if nobody else looks there. The kernels read
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
    BatchNormGradients wanted;
    // dresidual is written while dy is read, dx from then on out of dresidual.
    if (needs[3]) wanted.dresidual = in_place_of(dy);
    if (needs[0]) wanted.dx = in_place_of(needs[3] ? x : dy);
    const MemoryScope scope(MemoryUse::kGradients);
    if (needs[1]) wanted.dgamma = Tensor::empty_like(scaling.gamma);
    if (needs[2]) wanted.dbeta = Tensor::empty_like(scaling.beta);
    DISPATCH(x.device(), batch_norm_backward, fusion, training, x, scaling, y, dy, wanted);
    return {wanted.dx, wanted.dgamma, wanted.dbeta, wanted.dresidual};
  }
};

Tensor run(BatchNormFusion fusion, const Tensor& x, const Tensor& residual, const Tensor& gamma,
           const Tensor& beta, const Tensor& running_mean, const Tensor& running_var,
           const BatchNormParams& params, const Tensor& sums) {
  const char* const op = name_of(fusion);
  check(op, x, gamma, beta, running_mean, running_var, params);
  const bool adds = fusion == BatchNormFusion::kAddRelu;
  if (adds) {
    CHECK(residual.shape() == x.shape() && residual.dtype() == x.dtype(), "[", op,
          "] the residual must be ", x.dtype(), " of shape ", x.shape(), ", got ", residual.dtype(),
          " ", residual.shape());
    check_same_device(op, x, "the residual", residual);
  }

  if (sums.defined()) {
    CHECK(sums.shape() == (Shape{2, x.dim(-1)}) && sums.dtype() == DType::kF32, "[", op,
          "] the sums must be f32 of shape ", Shape{2, x.dim(-1)}, ", got ", sums.dtype(), " ",
          sums.shape());
    check_same_device(op, x, "the sums", sums);
  }

  const BatchNormScaling scaling =
      scaling_of(x, gamma, beta, running_mean, running_var, params, sums);
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
  if (!adds && wants_gradient(y)) {
    offer_again(y,
                [fusion, x = x.detach(), scaling] { return normalized(fusion, x, scaling, {}); });
  }
  return y;
}

}  // namespace

Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                  const Tensor& running_mean, const Tensor& running_var,
                  const BatchNormParams& params, const Tensor& sums) {
  return run(BatchNormFusion::kNone, x, {}, gamma, beta, running_mean, running_var, params, sums);
}

Tensor batch_norm_relu(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                       const Tensor& running_mean, const Tensor& running_var,
                       const BatchNormParams& params, const Tensor& sums) {
  return run(BatchNormFusion::kRelu, x, {}, gamma, beta, running_mean, running_var, params, sums);
}

Tensor batch_norm_add_relu(const Tensor& x, const Tensor& residual, const Tensor& gamma,
                           const Tensor& beta, const Tensor& running_mean,
                           const Tensor& running_var, const BatchNormParams& params,
                           const Tensor& sums) {
  return run(BatchNormFusion::kAddRelu, x, residual, gamma, beta, running_mean, running_var, params,
             sums);
}

}  // namespace invp
