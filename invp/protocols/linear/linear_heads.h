// One linear classifier at each of several taps of a frozen network.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/files/tensor_file.h"
#include "invp/protocols/linear/tap_pooling.h"
#include "layers/module.h"
#include "optim/sgd.h"

namespace invp {

/// Of a classifier with n outputs and d inputs.
enum class HeadInit {
  kSmall,   ///< weights N(0, 0.01^2), bias 0
  kFanOut,  ///< weights N(0, sqrt(2 / n)^2), bias 0 (the released code's second script)
  kTorch,   ///< both uniform in +-1/sqrt(d), PyTorch's default
};
/// "small", "fan-out", "torch", for the command line.
const std::vector<std::pair<std::string, HeadInit>>& all_head_inits();

struct LinearHeadsConfig {
  std::int64_t outputs = 1000;
  HeadInit init = HeadInit::kSmall;
  /// Before each classifier a batch norm in evaluation mode whose statistics stay as they begin:
  /// x / sqrt(1 + 1e-5), times a trained scale, plus a trained shift (the released code).
  bool norm = false;
  std::uint64_t seed = 0;
};

/// y = W x + b, parameters weight (outputs, d) and bias; with a norm also norm.weight and norm.bias
/// (d).
class LinearHead : public Module {
 public:
  LinearHead(const TapLayer& layer, const LinearHeadsConfig& config);
  /// (N, d) f32 -> (N, outputs)
  Tensor forward(const Tensor& x) const;

 private:
  Tensor weight_, bias_;
  Tensor scale_, shift_, mean_, variance_;  ///< undefined without a norm
};

/// The heads by the names "tap1" to "tap17". Their first values are a function of the seed and the
/// tap alone.
class LinearHeads : public Module {
 public:
  LinearHeads(std::vector<TapLayer> layers, const LinearHeadsConfig& config);

  const std::vector<TapLayer>& layers() const { return layers_; }
  const LinearHead& head(std::size_t k) const { return *heads_[k]; }

  /// One group of the optimiser for each head.
  std::vector<Sgd::Group> groups(const SgdHyper& hyper) const;

  /// In PyTorch's order of a flattened map: a channel's cells together, row by row.
  TensorFile to_file() const;
  /// Throws Error naming `origin` when it does not fit.
  void from_file(const TensorFile& file, const std::string& origin);

 private:
  std::vector<TapLayer> layers_;
  std::vector<std::unique_ptr<LinearHead>> heads_;
};

}  // namespace invp
