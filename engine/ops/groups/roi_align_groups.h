// RoIAlign (engine/ops/detection/roi_align.h) of boxes in the maps of every group.
#pragma once

#include "engine/ops/detection/roi_align.h"
#include "engine/ops/groups/map_groups.h"

namespace invp {

/// Boxes in the pictures of all groups.
struct GroupBoxes {
  Tensor boxes;  ///< (n, 5) f32, group after group: picture, counted within its group, and corners
  std::vector<std::int64_t> counts;  ///< of each group

  Tensor of(std::size_t group) const {
    std::int64_t first = 0;
    for (std::size_t g = 0; g < group; ++g) first += counts[g];
    return boxes.slice(first, first + counts[group]);
  }
};

/// Each box becomes a picture of its group, of params' bins.
MapGroups roi_align(const MapGroups& x, const GroupBoxes& boxes, const RoiAlignParams& params);

}  // namespace invp
