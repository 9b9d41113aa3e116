// Convolution, batch norm and the pair of them, the unit ResNets are made of.
#pragma once

#include "engine/ops/groups/batch_norm_groups.h"
#include "engine/ops/groups/conv2d_groups.h"
#include "layers/init.h"
#include "layers/module.h"

namespace invp {

struct Conv2dConfig {
  std::int64_t in = 0;
  std::int64_t out = 0;
  int kernel = 3;
  Conv2dParams params;
};

/// Without bias, as everywhere a batch norm follows. Parameter: weight (out, kernel, kernel,
/// in/groups).
class Conv2d : public Module {
 public:
  Conv2d(const Conv2dConfig& config, Initializer& init);
  /// x (N,H,W,in) f32 or bf16: the f32 weights are rounded to bf16 for the product when x is.
  Tensor forward(const Tensor& x) const;
  MapGroups forward(const MapGroups& x) const;
  const Tensor& weight() const { return weight_; }
  const Conv2dParams& params() const { return config_.params; }

 private:
  Conv2dConfig config_;
  Tensor weight_;
};

/// Parameters weight and bias, buffers running_mean and running_var, each (channels).
class BatchNorm2d : public Module {
 public:
  explicit BatchNorm2d(std::int64_t channels);
  Tensor forward(const Tensor& x);
  Tensor forward_relu(const Tensor& x);
  /// relu(batch_norm(x) + residual)
  Tensor forward_add_relu(const Tensor& x, const Tensor& residual);
  /// Of groups, with the momentum that they bring.
  MapGroups forward(const MapGroups& x) { return of_groups(BatchNormFusion::kNone, x, {}); }
  MapGroups forward_relu(const MapGroups& x) { return of_groups(BatchNormFusion::kRelu, x, {}); }
  MapGroups forward_add_relu(const MapGroups& x, const MapGroups& residual) {
    return of_groups(BatchNormFusion::kAddRelu, x, residual.rows);
  }
  /// Values per channel that the first group had in the last training pass over groups.
  std::int64_t group_values() const { return group_values_; }

  const Tensor& weight() const { return weight_; }
  const Tensor& bias() const { return bias_; }
  const Tensor& running_mean() const { return running_mean_; }
  const Tensor& running_var() const { return running_var_; }
  static constexpr float kEps = 1e-5F;
  static constexpr float kMomentum = 0.1F;

 private:
  BatchNormParams params() const;
  MapGroups of_groups(BatchNormFusion fusion, const MapGroups& x, const Tensor& residual);

  Tensor weight_, bias_, running_mean_, running_var_;
  std::int64_t group_values_ = 0;
};

/// A convolution followed by a batch norm, under torchvision's two names: a part (Module::add_part)
/// of its parent. In evaluation without gradients the norm is folded into the weights, and the
/// whole is one fused convolution.
class ConvNorm : public Module {
 public:
  ConvNorm(const std::string& conv_name, const std::string& norm_name, const Conv2dConfig& config,
           Initializer& init)
      : conv_(config, init), norm_(config.out) {
    add_child(conv_name, conv_);
    add_child(norm_name, norm_);
  }

  Tensor forward(const Tensor& x);
  Tensor forward_relu(const Tensor& x);
  /// The residual is overwritten if it is the only handle to its elements and no gradient is
  /// wanted.
  Tensor forward_add_relu(const Tensor& x, Tensor residual);
  MapGroups forward(const MapGroups& x);
  MapGroups forward_relu(const MapGroups& x);
  MapGroups forward_add_relu(const MapGroups& x, MapGroups residual);

  const Conv2d& conv() const { return conv_; }
  BatchNorm2d& norm() { return norm_; }

 protected:
  void state_changed() override { folded_ = {}; }

 private:
  bool can_fold() const;
  template <class Maps>
  Maps fused(const Maps& x, DType dtype, Tensor residual, bool relu);

  Conv2d conv_;
  BatchNorm2d norm_;
  struct Folded {
    Tensor weight, bias;  ///< the weight in the dtype of the images last seen
  };
  Folded folded_;
};

/// w' = w * gamma / sqrt(var + eps) and b' = beta - mean * gamma / sqrt(var + eps): conv(x, w') +
/// b' = norm(conv(x, w)) with running statistics. f32, where w is; computed on the host.
void fold_batch_norm(const Tensor& w, const BatchNorm2d& norm, Tensor& folded_weight,
                     Tensor& folded_bias);

}  // namespace invp
