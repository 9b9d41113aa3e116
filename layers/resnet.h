// ResNets (He et al. 2016) in torchvision's form (stride in the 3x3 convolution) and in the CIFAR
// form (3x3 stride-1 stem, no max pool), with the projection head of the paper. Parameter names and
// order are torchvision's.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/ops/basic/cast.h"
#include "layers/conv.h"
#include "layers/linear.h"
#include "layers/module.h"
#include "layers/residual_block.h"

namespace invp {

enum class Arch { kResNet18, kResNet34, kResNet50, kResNet18Cifar, kResNet50Cifar };

/// "resnet50-cifar"
const char* name_of(Arch arch);
/// Every architecture by name, in the order of the command line's help.
const std::vector<std::pair<std::string, Arch>>& all_archs();

/// A 3x3 stem of stride 1 and no pool.
bool is_cifar(Arch arch);
bool has_bottlenecks(Arch arch);
/// Blocks in each of the four stages.
std::array<int, 4> stage_depths(Arch arch);

/// What the backward pass of training computes again, to the bit, instead of keeping it.
enum class Recompute {
  kNone,
  kBlocks,  ///< everything inside the residual blocks: one more forward pass through them
};
/// "none", "blocks", for the command line.
const std::vector<std::pair<std::string, Recompute>>& all_recomputes();

struct NetworkConfig {
  Arch arch = Arch::kResNet50;
  int width = 64;  ///< channels after the stem
  HeadKind head = HeadKind::kLinear;
  int dim = 128;  ///< embedding size
  std::uint64_t seed = 0;
  Recompute recompute = Recompute::kNone;  ///< decides memory and time, not what is computed
};

/// Height and width of the last stage's output for images of `image_size` pixels.
int last_map(Arch arch, int image_size);

class ResNet : public Module {
 public:
  explicit ResNet(const NetworkConfig& config);
  ~ResNet() override;

  /// images (N, S, S, 3) f32, normalised, on any device -> embeddings (N, dim) f32, before the L2
  /// normalisation.
  Tensor forward(const Tensor& images);
  /// images -> pooled backbone features (N, feature_dim()) f32.
  Tensor features(const Tensor& images);
  /// Of images of one size in groups, whose norms share statistics. There may be no image.
  Tensor features(const MapGroups& images);
  /// features -> embeddings.
  Tensor outputs(const Tensor& features) { return head_.forward(cast(features, compute_type_)); }
  /// Calls visit(tap, output) for tap 1, the stem, and taps 2.., the residual blocks, as they are
  /// computed; stops after `last`. Outputs (N,H,W,C) in the compute type.
  void taps(const Tensor& images, int last,
            const std::function<void(int tap, const Tensor& output)>& visit);

  /// Where it computes (Module::to).
  Device device() const { return stem_.conv().weight().device(); }
  int tap_count() const { return 1 + static_cast<int>(blocks_.size()); }
  std::int64_t feature_dim() const { return feature_dim_; }
  const NetworkConfig& config() const { return config_; }
  Head& head() { return head_; }

  /// f32, or bf16 for activations and products (weights, statistics and embeddings stay f32).
  void set_compute_type(DType dtype) { compute_type_ = dtype; }

  /// How many batches have moved the running statistics: every forward pass in training counts.
  /// Nothing is computed with it; it is torchvision's num_batches_tracked (layers/exchange.h). The
  /// host counts, so a caller that replays a captured pass must set it.
  std::int64_t batches_tracked() const { return batches_tracked_; }
  void set_batches_tracked(std::int64_t count) { batches_tracked_ = count; }

 private:
  Tensor taken(const Tensor& images) const;
  template <class Maps>
  Maps stem(const Maps& images);
  Tensor run(ResidualBlock& block, Tensor x) const;
  MapGroups run(ResidualBlock& block, MapGroups x) const;
  bool recomputes() const;

  NetworkConfig config_;
  bool cifar_;
  DType compute_type_ = DType::kF32;
  std::int64_t batches_tracked_ = 0;
  Initializer init_;
  ConvNorm stem_;
  std::vector<std::unique_ptr<ResidualBlock>> blocks_;
  std::int64_t feature_dim_;
  Head head_;
};

}  // namespace invp
