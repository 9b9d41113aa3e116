#include "engine/ops/batch_norm.h"

#include "engine/autograd/node.h"
#include "engine/ops/checks.h"

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

Tensor run(BatchNormFusion fusion, const Tensor& x, const Tensor& residual, const Tensor& gamma,
           const Tensor& beta, const Tensor& running_mean, const Tensor& running_var,
           const BatchNormParams& params) {
  const char* const op = name_of(fusion);
  check(op, x, gamma, beta, running_mean, running_var, params);
  if (fusion == BatchNormFusion::kAddRelu) {
    CHECK(residual.shape() == x.shape() && residual.dtype() == x.dtype(), "[", op,
          "] the residual must be ", x.dtype(), " of shape ", x.shape(), ", got ", residual.dtype(),
          " ", residual.shape());
    check_same_device(op, x, "the residual", residual);
  }

  const BatchNormScaling scaling{.mean = Tensor::empty_like(gamma),
                                 .inverse_std = Tensor::empty_like(gamma),
                                 .gamma = gamma.detach(),
                                 .beta = beta.detach()};
  const Tensor y = Tensor::empty_like(x);
  DISPATCH(x.device(), batch_norm_statistics, x, params, scaling.mean, scaling.inverse_std,
           running_mean, running_var);
  DISPATCH(x.device(), batch_norm_forward, fusion, x, scaling, residual, y);

  return record(op, y, {x, gamma, beta, residual}, [&] {
    const Tensor saved_y = fusion == BatchNormFusion::kAddRelu ? y.detach() : Tensor();
    return [fusion, training = params.training, x = x.detach(), scaling, y = saved_y](
               const Tensor& dy, const Needs& needs) -> Grads {
      const auto wanted = [&needs](std::size_t input, const Tensor& like) {
        return needs[input] ? Tensor::empty_like(like) : Tensor();
      };
      const BatchNormGradients gradients{.dx = wanted(0, x),
                                         .dresidual = wanted(3, x),
                                         .dgamma = wanted(1, scaling.gamma),
                                         .dbeta = wanted(2, scaling.beta)};
      DISPATCH(x.device(), batch_norm_backward, fusion, training, x, scaling, y, dy, gradients);
      return {gradients.dx, gradients.dgamma, gradients.dbeta, gradients.dresidual};
    };
  });
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
