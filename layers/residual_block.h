// The residual blocks of ResNets (He et al. 2016), in torchvision's form: the stride is in the 3x3
// convolution. Parameter names are torchvision's.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "layers/conv.h"
#include "layers/module.h"

namespace invp {

/// relu(f(x) + shortcut(x)).
class ResidualBlock : public Module {
 public:
  /// x (N,H,W,in) -> (N,H/stride,W/stride,out). In inference the memory of x is reused if
  /// nothing else shares it.
  virtual Tensor forward(Tensor x) = 0;
  /// The same of every group (engine/ops/groups/map_groups.h).
  virtual MapGroups forward(MapGroups x) = 0;
};

/// Two 3x3 convolutions (ResNet-18 and -34).
class BasicBlock final : public ResidualBlock {
 public:
  static constexpr std::int64_t kExpansion = 1;

  BasicBlock(std::int64_t in, std::int64_t width, int stride, Initializer& init);
  Tensor forward(Tensor x) override { return run(std::move(x)); }
  MapGroups forward(MapGroups x) override { return run(std::move(x)); }

 private:
  template <class Maps>
  Maps run(Maps x) {
    const Maps inner = first_.forward_relu(x);
    Maps residual = shortcut_ ? shortcut_->forward(x) : std::move(x);
    return second_.forward_add_relu(inner, std::move(residual));
  }

  ConvNorm first_, second_;
  std::unique_ptr<ConvNorm> shortcut_;
};

/// 1x1, 3x3 with the stride, 1x1 to four times the width (ResNet-50).
class Bottleneck final : public ResidualBlock {
 public:
  static constexpr std::int64_t kExpansion = 4;

  Bottleneck(std::int64_t in, std::int64_t width, int stride, Initializer& init);
  Tensor forward(Tensor x) override { return run(std::move(x)); }
  MapGroups forward(MapGroups x) override { return run(std::move(x)); }

  // For those who compute a block in another order (layers/detection/region_features.h).
  ConvNorm& first() { return first_; }
  ConvNorm& second() { return second_; }
  ConvNorm& third() { return third_; }
  /// Null where the input is added as it is.
  ConvNorm* shortcut() { return shortcut_.get(); }

 private:
  template <class Maps>
  Maps run(Maps x) {
    Maps inner = first_.forward_relu(x);
    inner = second_.forward_relu(inner);
    Maps residual = shortcut_ ? shortcut_->forward(x) : std::move(x);
    return third_.forward_add_relu(inner, std::move(residual));
  }

  ConvNorm first_, second_, third_;
  std::unique_ptr<ConvNorm> shortcut_;
};

/// `count` blocks, of which the first has the stride. Returns the channels that come out.
template <class Block, class List>
std::int64_t append_stage(List& blocks, std::int64_t in, std::int64_t width, int count, int stride,
                          Initializer& init) {
  for (int i = 0; i < count; ++i) {
    blocks.push_back(std::make_unique<Block>(in, width, i == 0 ? stride : 1, init));
    in = width * Block::kExpansion;
  }
  return in;
}

}  // namespace invp
