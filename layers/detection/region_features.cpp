#include "layers/detection/region_features.h"

#include "engine/autograd/recompute.h"
#include "engine/ops/basic/cast.h"
#include "engine/ops/basic/reshape.h"
#include "engine/ops/pool/avg_pool2d.h"
#include "layers/autocast.h"

namespace invp {

namespace {

constexpr int kBlocks = 3;

/// The 1x1 convolution of a layer at every place of the map.
MapGroups on_map(const MapGroups& features, const Conv2d& conv) {
  return conv2d(features, as_operand(conv.weight(), features.rows.dtype()));
}

/// block.forward(x), without keeping what is inside.
MapGroups computed_again(Bottleneck& block, const MapGroups& x) {
  const auto body = [&block, like = x.with({})](Tensor rows) {
    return block.forward(like.with(std::move(rows))).rows;
  };
  return x.with(recomputed(body, x.rows));
}

}  // namespace

RegionFeatures::RegionFeatures(std::int64_t in, std::int64_t width, const RegionConfig& config,
                               Initializer& init)
    : config_(config),
      channels_(append_stage<Bottleneck>(blocks_, in, width, kBlocks, 2, init)),
      norm_(channels_) {}

MapGroups RegionFeatures::first_block(const MapGroups& features, const GroupBoxes& boxes) {
  Bottleneck& block = *blocks_.front();
  RoiAlignParams bins{.height = config_.bins,
                      .width = config_.bins,
                      .spatial_scale = 1.0F / DetectorConfig::kStride};
  MapGroups inner = roi_align(on_map(features, block.first().conv()), boxes, bins);
  inner = block.first().norm().forward_relu(inner);
  inner = block.second().forward_relu(inner);
  bins.step = 2;
  MapGroups residual = roi_align(on_map(features, block.shortcut()->conv()), boxes, bins);
  residual = block.shortcut()->norm().forward(residual);
  return block.third().forward_add_relu(inner, std::move(residual));
}

MapGroups RegionFeatures::grids(const MapGroups& features, const GroupBoxes& boxes) {
  MapGroups x = first_block(features, boxes);
  for (std::size_t i = 1; i < blocks_.size(); ++i) {
    Bottleneck& block = *blocks_[i];
    // The last block's results are wanted at once in the backward pass: nothing to gain there.
    const bool again = config_.recompute && block.training() && i + 1 < blocks_.size();
    x = again ? computed_again(block, x) : block.forward(std::move(x));
  }
  return norm_.forward(x);
}

MapGroups RegionFeatures::forward(const MapGroups& features, const GroupBoxes& boxes) {
  const MapGroups x = grids(features, boxes);
  const MapSize& grid = x.sizes.front();
  const std::int64_t regions = boxes.boxes.dim(0);
  const Tensor all = reshape(x.rows, {regions, grid.height, grid.width, x.channels()});
  MapGroups means = x.with(cast(flatten(adaptive_avg_pool2d(all, 1, 1)), DType::kF32));
  for (MapSize& size : means.sizes) size.height = size.width = 1;
  return means;
}

}  // namespace invp
