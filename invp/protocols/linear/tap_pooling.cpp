#include "invp/protocols/linear/tap_pooling.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/autograd/node.h"
#include "engine/ops/basic/cast.h"
#include "engine/ops/basic/reshape.h"
#include "engine/ops/pool/avg_pool2d.h"

namespace invp {

namespace {

/// Where a tap stands: the stem is stage 0, the four stages of blocks follow.
struct Place {
  int stage = 0;
  int block = 0;
  std::string name() const { return stage == 0 ? "stem" : message("layer", stage, ".", block); }
};

/// A stage begins where the channels change; the first does after the stem whatever they are.
Place next_place(const Place& place, bool wider) {
  if (place.stage == 0 || wider) return {.stage = place.stage + 1, .block = 0};
  return {.stage = place.stage, .block = place.block + 1};
}

std::int64_t grid_near_9000(std::int64_t channels) {
  constexpr double kValues = 9000;
  return std::max<std::int64_t>(1,
                                std::llround(std::sqrt(kValues / static_cast<double>(channels))));
}

std::int64_t grid_of(TapPooling pooling, int stage, std::int64_t channels) {
  constexpr int kLastStage = 4;
  switch (pooling) {
    case TapPooling::kGlobal: return 1;
    case TapPooling::kAbout9000: return grid_near_9000(channels);
    case TapPooling::kReleased: return stage == kLastStage ? 1 : grid_near_9000(channels);
    case TapPooling::kStages: break;
  }
  constexpr std::array<std::int64_t, kLastStage + 1> kCells = {8, 6, 4, 3, 7};
  return kCells.at(static_cast<std::size_t>(stage));
}

}  // namespace

const std::vector<std::pair<std::string, TapPooling>>& all_tap_poolings() {
  static const std::vector<std::pair<std::string, TapPooling>> all = {
      {"global", TapPooling::kGlobal},
      {"9000", TapPooling::kAbout9000},
      {"released", TapPooling::kReleased},
      {"stages", TapPooling::kStages}};
  return all;
}

std::vector<TapLayer> tap_layers(ResNet& network, int image_size, const std::vector<int>& taps,
                                 TapPooling pooling) {
  for (const int tap : taps) {
    CHECK(tap >= 1 && tap <= network.tap_count(), "there is no tap ", tap, ": a ",
          name_of(network.config().arch), " has taps 1, the stem, to ", network.tap_count());
  }
  const NoGrad no_grad;
  const Tensor blank = Tensor::zeros({1, image_size, image_size, 3}, DType::kF32, network.device());
  std::vector<TapLayer> layers;
  Place place;
  std::int64_t channels = 0;
  network.taps(blank, network.tap_count(), [&](int tap, const Tensor& output) {
    if (tap > 1) place = next_place(place, output.dim(3) != channels);
    channels = output.dim(3);
    if (!taps.empty() && std::ranges::find(taps, tap) == taps.end()) return;
    const std::int64_t map = std::min(output.dim(1), output.dim(2));
    layers.push_back({.tap = tap,
                      .block = place.name(),
                      .channels = channels,
                      .map = map,
                      .grid = std::min(map, grid_of(pooling, place.stage, channels))});
  });
  return layers;
}

Tensor pool_tap(const Tensor& output, std::int64_t grid) {
  return cast(flatten(adaptive_avg_pool2d(output, grid, grid)), DType::kF32);
}

void pooled_taps(ResNet& network, const Tensor& images, const std::vector<TapLayer>& layers,
                 const std::function<void(std::size_t k, const Tensor& features)>& visit) {
  const NoGrad no_grad;
  std::size_t next = 0;
  network.taps(images, layers.back().tap, [&](int tap, const Tensor& output) {
    if (layers[next].tap != tap) return;
    visit(next, pool_tap(output, layers[next].grid));
    ++next;
  });
}

}  // namespace invp
