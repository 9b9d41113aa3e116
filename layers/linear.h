// Fully connected layers and the projection head built from them.
#pragma once

#include <memory>

#include "engine/ops/basic/matmul.h"
#include "layers/init.h"
#include "layers/module.h"

namespace invp {

/// y = x w^T + b. Parameters: weight (out, in), bias (out).
class Linear : public Module {
 public:
  Linear(std::int64_t in, std::int64_t out, Initializer& init);
  /// x (N, in) f32 or bf16: the f32 weights are rounded to bf16 for the product when x is.
  Tensor forward(const Tensor& x) const;
  /// relu(forward(x)), fused.
  Tensor forward_relu(const Tensor& x) const;
  const Tensor& weight() const { return weight_; }
  const Tensor& bias() const { return bias_; }

 private:
  Tensor weight_, bias_;
};

enum class HeadKind {
  kLinear,  ///< in -> dim
  kMlp,     ///< in -> in, ReLU, in -> dim
};

/// The projection head. Not a module itself: the network owns its layers under the names "fc", or
/// "fc.0" and "fc.2".
class Head {
 public:
  Head(HeadKind kind, std::int64_t in, std::int64_t dim, Initializer& init);
  /// x (N, in) -> (N, dim) f32, before the L2 normalisation.
  Tensor forward(const Tensor& x) const;
  /// Null for a linear head.
  Linear* hidden() { return hidden_.get(); }
  Linear& last() { return *last_; }

 private:
  std::unique_ptr<Linear> hidden_;
  std::unique_ptr<Linear> last_;
};

}  // namespace invp
