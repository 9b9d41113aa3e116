#include "layers/conv.h"

#include <cmath>

#include "engine/autograd/node.h"
#include "engine/ops/basic/cast.h"
#include "layers/autocast.h"

namespace invp {

Conv2d::Conv2d(const Conv2dConfig& config, Initializer& init) : config_(config) {
  weight_ = add_parameter("weight", init.conv_weight({config.out, config.kernel, config.kernel,
                                                      config.in / config.params.groups}));
}

Tensor Conv2d::forward(const Tensor& x) const {
  return conv2d(x, as_operand(weight_, x.dtype()), {}, config_.params);
}

MapGroups Conv2d::forward(const MapGroups& x) const {
  return conv2d(x, as_operand(weight_, x.rows.dtype()), {}, config_.params);
}

BatchNorm2d::BatchNorm2d(std::int64_t channels) {
  const MemoryScope scope(MemoryUse::kParameters);
  weight_ = add_parameter("weight", Tensor::full({channels}, 1.0F));
  bias_ = add_parameter("bias", Tensor::zeros({channels}));
  running_mean_ = add_buffer("running_mean", Tensor::zeros({channels}));
  running_var_ = add_buffer("running_var", Tensor::full({channels}, 1.0F));
}

BatchNormParams BatchNorm2d::params() const {
  return {.training = training(), .momentum = kMomentum, .eps = kEps};
}

Tensor BatchNorm2d::forward(const Tensor& x) {
  return batch_norm(x, weight_, bias_, running_mean_, running_var_, params());
}

Tensor BatchNorm2d::forward_relu(const Tensor& x) {
  return batch_norm_relu(x, weight_, bias_, running_mean_, running_var_, params());
}

Tensor BatchNorm2d::forward_add_relu(const Tensor& x, const Tensor& residual) {
  return batch_norm_add_relu(x, residual, weight_, bias_, running_mean_, running_var_, params());
}

MapGroups BatchNorm2d::of_groups(BatchNormFusion fusion, const MapGroups& x,
                                 const Tensor& residual) {
  if (training()) group_values_ = x.sizes.front().rows();
  return batch_norm_groups(
      fusion, x, residual,
      {.gamma = weight_, .beta = bias_, .running_mean = running_mean_, .running_var = running_var_},
      params());
}

void fold_batch_norm(const Tensor& w, const BatchNorm2d& norm, Tensor& folded_weight,
                     Tensor& folded_bias) {
  const std::int64_t filters = w.dim(0);
  const std::int64_t row = w.numel() / filters;
  const Tensor unfolded = w.to(kCpu);
  const Tensor gamma = norm.weight().to(kCpu);
  const Tensor beta = norm.bias().to(kCpu);
  const Tensor mean = norm.running_mean().to(kCpu);
  const Tensor var = norm.running_var().to(kCpu);
  const Tensor weight = Tensor::empty(w.shape());
  const Tensor bias = Tensor::empty({filters});
  for (std::int64_t k = 0; k < filters; ++k) {
    const float scale =
        gamma.data<float>()[k] / std::sqrt(var.data<float>()[k] + BatchNorm2d::kEps);
    const float* from = unfolded.data<float>() + k * row;
    float* to = weight.data<float>() + k * row;
    for (std::int64_t i = 0; i < row; ++i) to[i] = scale * from[i];
    bias.data<float>()[k] = beta.data<float>()[k] - scale * mean.data<float>()[k];
  }
  folded_weight = weight.to(w.device());
  folded_bias = bias.to(w.device());
}

bool ConvNorm::can_fold() const {
  return !training() && !grad_enabled();
}

template <class Maps>
Maps ConvNorm::fused(const Maps& x, DType dtype, Tensor residual, bool relu) {
  if (!folded_.weight.defined() || folded_.weight.dtype() != dtype) {
    fold_batch_norm(conv_.weight(), norm_, folded_.weight, folded_.bias);
    folded_.weight = cast(folded_.weight, dtype);
  }
  return conv2d_fused(x, folded_.weight,
                      {.b = folded_.bias, .residual = std::move(residual), .relu = relu},
                      conv_.params());
}

Tensor ConvNorm::forward(const Tensor& x) {
  if (can_fold()) return fused(x, x.dtype(), {}, false);
  return norm_.forward(conv_.forward(x));
}

Tensor ConvNorm::forward_relu(const Tensor& x) {
  if (can_fold()) return fused(x, x.dtype(), {}, true);
  return norm_.forward_relu(conv_.forward(x));
}

Tensor ConvNorm::forward_add_relu(const Tensor& x, Tensor residual) {
  if (can_fold()) return fused(x, x.dtype(), std::move(residual), true);
  return norm_.forward_add_relu(conv_.forward(x), residual);
}

MapGroups ConvNorm::forward(const MapGroups& x) {
  if (can_fold()) return fused(x, x.rows.dtype(), {}, false);
  return norm_.forward(conv_.forward(x));
}

MapGroups ConvNorm::forward_relu(const MapGroups& x) {
  if (can_fold()) return fused(x, x.rows.dtype(), {}, true);
  return norm_.forward_relu(conv_.forward(x));
}

MapGroups ConvNorm::forward_add_relu(const MapGroups& x, MapGroups residual) {
  if (can_fold()) return fused(x, x.rows.dtype(), std::move(residual.rows), true);
  return norm_.forward_add_relu(conv_.forward(x), residual);
}

}  // namespace invp
