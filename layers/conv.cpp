#include "layers/conv.h"

#include <cmath>

#include "engine/autograd/node.h"
#include "engine/ops/cast.h"

namespace invp {

Conv2d::Conv2d(const Conv2dConfig& config, Initializer& init) : config_(config) {
  weight_ = add_parameter("weight", init.conv_weight({config.out, config.kernel, config.kernel,
                                                      config.in / config.params.groups}));
}

Tensor Conv2d::forward(const Tensor& x) const {
  return conv2d(x, cast(weight_, x.dtype()), {}, config_.params);
}

BatchNorm2d::BatchNorm2d(std::int64_t channels) {
  const MemoryScope scope(MemoryUse::kParameters);
  weight_ = add_parameter("weight", Tensor::full({channels}, 1.0F));
  bias_ = add_parameter("bias", Tensor::zeros({channels}));
  running_mean_ = add_buffer("running_mean", Tensor::zeros({channels}));
  running_var_ = add_buffer("running_var", Tensor::full({channels}, 1.0F));
  num_batches_tracked_ = add_buffer("num_batches_tracked", Tensor::zeros(Shape{}, DType::kI64));
}

BatchNormParams BatchNorm2d::next_params() {
  if (training()) ++*num_batches_tracked_.data<std::int64_t>();
  return {.training = training(), .momentum = kMomentum, .eps = kEps};
}

Tensor BatchNorm2d::forward(const Tensor& x) {
  return batch_norm(x, weight_, bias_, running_mean_, running_var_, next_params());
}

Tensor BatchNorm2d::forward_relu(const Tensor& x) {
  return batch_norm_relu(x, weight_, bias_, running_mean_, running_var_, next_params());
}

Tensor BatchNorm2d::forward_add_relu(const Tensor& x, const Tensor& residual) {
  return batch_norm_add_relu(x, residual, weight_, bias_, running_mean_, running_var_,
                             next_params());
}

void fold_batch_norm(const Tensor& w, const BatchNorm2d& norm, Tensor& folded_weight,
                     Tensor& folded_bias) {
  const std::int64_t filters = w.dim(0);
  const std::int64_t row = w.numel() / filters;
  folded_weight = Tensor::empty_like(w);
  folded_bias = Tensor::empty({filters});
  for (std::int64_t k = 0; k < filters; ++k) {
    const float scale = norm.weight().data<float>()[k] /
                        std::sqrt(norm.running_var().data<float>()[k] + BatchNorm2d::kEps);
    const float* from = w.data<float>() + k * row;
    float* to = folded_weight.data<float>() + k * row;
    for (std::int64_t i = 0; i < row; ++i) to[i] = scale * from[i];
    folded_bias.data<float>()[k] =
        norm.bias().data<float>()[k] - scale * norm.running_mean().data<float>()[k];
  }
}

bool ConvNorm::can_fold() const {
  return !norm_.training() && !grad_enabled();
}

Tensor ConvNorm::fused(const Tensor& x, Tensor residual, bool relu) {
  if (!folded_.weight.defined())
    fold_batch_norm(conv_.weight(), norm_, folded_.weight, folded_.bias);
  return conv2d_fused(x, cast(folded_.weight, x.dtype()),
                      {.b = folded_.bias, .residual = std::move(residual), .relu = relu},
                      conv_.params());
}

Tensor ConvNorm::forward(const Tensor& x) {
  return can_fold() ? fused(x, {}, false) : norm_.forward(conv_.forward(x));
}

Tensor ConvNorm::forward_relu(const Tensor& x) {
  return can_fold() ? fused(x, {}, true) : norm_.forward_relu(conv_.forward(x));
}

Tensor ConvNorm::forward_add_relu(const Tensor& x, Tensor residual) {
  return can_fold() ? fused(x, std::move(residual), true)
                    : norm_.forward_add_relu(conv_.forward(x), residual);
}

}  // namespace invp
