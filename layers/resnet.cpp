#include "layers/resnet.h"

#include <utility>

#include "engine/autograd/recompute.h"
#include "engine/ops/basic/cast.h"
#include "engine/ops/basic/reshape.h"
#include "engine/ops/groups/max_pool2d_groups.h"
#include "engine/ops/pool/avg_pool2d.h"
#include "engine/ops/pool/max_pool2d.h"

namespace invp {

namespace {

std::int64_t feature_dim(const NetworkConfig& config) {
  return 8LL * config.width *
         (has_bottlenecks(config.arch) ? Bottleneck::kExpansion : BasicBlock::kExpansion);
}

Conv2dConfig stem_config(const NetworkConfig& config) {
  if (is_cifar(config.arch))
    return {.in = 3, .out = config.width, .kernel = 3, .params = {.padding = 1}};
  return {.in = 3, .out = config.width, .kernel = 7, .params = {.stride = 2, .padding = 3}};
}

std::vector<std::unique_ptr<ResidualBlock>> make_blocks(const NetworkConfig& config,
                                                        Initializer& init) {
  std::vector<std::unique_ptr<ResidualBlock>> blocks;
  std::int64_t channels = config.width;
  for (int stage = 0; stage < 4; ++stage) {
    const std::int64_t width = static_cast<std::int64_t>(config.width) << stage;
    const int stride = stage == 0 ? 1 : 2;
    const int count = stage_depths(config.arch).at(static_cast<std::size_t>(stage));
    channels = has_bottlenecks(config.arch)
                   ? append_stage<Bottleneck>(blocks, channels, width, count, stride, init)
                   : append_stage<BasicBlock>(blocks, channels, width, count, stride, init);
  }
  return blocks;
}

}  // namespace

int last_map(Arch arch, int image_size) {
  // Three stages halve it, and the stem and the pool of the image form. Each rounds up.
  for (int halved = 0; halved < (is_cifar(arch) ? 3 : 5); ++halved)
    image_size = (image_size + 1) / 2;
  return image_size;
}

const std::vector<std::pair<std::string, Recompute>>& all_recomputes() {
  static const std::vector<std::pair<std::string, Recompute>> recomputes = {
      {"none", Recompute::kNone}, {"blocks", Recompute::kBlocks}};
  return recomputes;
}

ResNet::ResNet(const NetworkConfig& config)
    : config_(config),
      cifar_(is_cifar(config.arch)),
      init_(cifar_ ? InitScheme::kCifar : InitScheme::kImagenet, config.seed),
      stem_("conv1", "bn1", stem_config(config), init_),
      blocks_(make_blocks(config, init_)),
      feature_dim_(invp::feature_dim(config)),
      head_(config.head, feature_dim_, config.dim, init_) {
  add_part(stem_);
  std::size_t next = 0;
  for (int stage = 0; stage < 4; ++stage) {
    for (int i = 0; i < stage_depths(config.arch).at(static_cast<std::size_t>(stage)); ++i) {
      add_child(message("layer", stage + 1, ".", i), *blocks_[next++]);
    }
  }
  if (head_.hidden() != nullptr) add_child("fc.0", *head_.hidden());
  add_child(head_.hidden() != nullptr ? "fc.2" : "fc", head_.last());
}

ResNet::~ResNet() = default;

template <class Maps>
Maps ResNet::stem(const Maps& images) {
  if (training()) ++batches_tracked_;
  const Maps x = stem_.forward_relu(images);
  return cifar_ ? x : max_pool2d(x, MaxPool2dParams{.kernel = 3, .stride = 2, .padding = 1});
}

/// Images, or rows of them, as the network takes them.
Tensor ResNet::taken(const Tensor& images) const {
  const Tensor here = [&] {
    const MemoryScope scope(MemoryUse::kData);
    return images.to(device());
  }();
  return cast(here, compute_type_);
}

// In evaluation the unrecorded run would fold the norms, and the recorded one not.
bool ResNet::recomputes() const {
  return config_.recompute == Recompute::kBlocks && training();
}

Tensor ResNet::run(ResidualBlock& block, Tensor x) const {
  if (!recomputes()) return block.forward(std::move(x));
  return recomputed([&block](Tensor in) { return block.forward(std::move(in)); }, x);
}

MapGroups ResNet::run(ResidualBlock& block, MapGroups x) const {
  if (!recomputes()) return block.forward(std::move(x));
  const auto sizes = std::make_shared<std::vector<MapSize>>();
  const auto body = [&block, sizes, places = x.with({})](Tensor in) {
    const MapGroups y = block.forward(places.with(std::move(in)));
    *sizes = y.sizes;
    return y.rows;
  };
  Tensor rows = recomputed(body, x.rows);
  return {.rows = std::move(rows), .sizes = *sizes, .norms = x.norms};
}

Tensor ResNet::features(const Tensor& images) {
  CHECK(images.rank() == 4 && images.dim(3) == 3, "[resnet] needs images (N, H, W, 3), got ",
        images.shape());
  Tensor x = stem(taken(images));
  for (const auto& block : blocks_) x = run(*block, std::move(x));
  return cast(flatten(adaptive_avg_pool2d(x, 1, 1)), DType::kF32);
}

Tensor ResNet::features(const MapGroups& images) {
  MapGroups x = stem(images.with(taken(images.rows)));
  for (const auto& block : blocks_) x = run(*block, std::move(x));
  MapSize all = x.sizes.front();
  all.pictures = 0;
  for (const MapSize& size : x.sizes) {
    CHECK(size.height == all.height && size.width == all.width,
          "[resnet] images of groups are of one size");
    all.pictures += size.pictures;
  }
  const Tensor maps = reshape(x.rows, {all.pictures, all.height, all.width, x.channels()});
  return cast(flatten(adaptive_avg_pool2d(maps, 1, 1)), DType::kF32);
}

Tensor ResNet::forward(const Tensor& images) {
  return outputs(features(images));
}

void ResNet::taps(const Tensor& images, int last,
                  const std::function<void(int tap, const Tensor& output)>& visit) {
  CHECK(last >= 1 && last <= tap_count(), "[resnet] ", name_of(config_.arch), " has taps 1 to ",
        tap_count(), ", not ", last);
  Tensor x = stem(taken(images));
  visit(1, x);
  for (int tap = 2; tap <= last; ++tap) {
    x = blocks_[static_cast<std::size_t>(tap - 2)]->forward(std::move(x));
    visit(tap, x);
  }
}

}  // namespace invp
