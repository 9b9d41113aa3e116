// What is computed of each region: res5, the last stage of the ResNet, on its grid of RoIAlign, and
// the extra batch norm that MoCo and InvP put behind it.
#pragma once

#include <memory>
#include <vector>

#include "engine/ops/groups/roi_align_groups.h"
#include "layers/detection/detector_config.h"
#include "layers/residual_block.h"

namespace invp {

class RegionFeatures {
 public:
  /// in: channels of res4; width: of the bottlenecks.
  RegionFeatures(std::int64_t in, std::int64_t width, const RegionConfig& config,
                 Initializer& init);

  /// features of res4 -> the mean over each region's grid, (regions, channels()) f32 rows, the
  /// regions of a group as its pictures of 1 x 1.
  ///   RoIAlign and the 1x1 convolutions at the start of res5 (first and shortcut) are linear in
  ///   the channels of one place, so the convolutions are done on the map, once, and RoIAlign takes
  ///   their results: the same values up to rounding, for a fraction of the products. The shortcut
  ///   has stride 2, so it needs every second bin.
  MapGroups forward(const MapGroups& features, const GroupBoxes& boxes);

  /// Before the mean: (regions, bins / 2, bins / 2, channels()).
  MapGroups grids(const MapGroups& features, const GroupBoxes& boxes);

  std::int64_t channels() const { return channels_; }
  std::vector<std::unique_ptr<Bottleneck>>& blocks() { return blocks_; }
  BatchNorm2d& norm() { return norm_; }

 private:
  MapGroups first_block(const MapGroups& features, const GroupBoxes& boxes);

  RegionConfig config_;
  std::vector<std::unique_ptr<Bottleneck>> blocks_;
  std::int64_t channels_;
  BatchNorm2d norm_;
};

}  // namespace invp
