// Which regions the second stage of a detector is trained on, and on what.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/ops/groups/roi_align_groups.h"
#include "layers/detection/detector_config.h"
#include "layers/detection/detector_input.h"
#include "layers/detection/rpn.h"

namespace invp {

/// What was proposed and drawn, in numbers that can be added up over processes.
struct RegionCounts {
  std::int64_t regions = 0;
  std::int64_t foreground = 0;  ///< of the regions
  std::int64_t objects = 0;
  std::int64_t found = 0;  ///< objects that a proposal overlaps by 0.5 at least

  double foreground_share() const {
    return static_cast<double>(foreground) /
           static_cast<double>(std::max<std::int64_t>(regions, 1));
  }
  double recall() const {
    return objects == 0 ? 1 : static_cast<double>(found) / static_cast<double>(objects);
  }
};

struct Regions {
  GroupBoxes boxes;  ///< R in all, those of a picture foreground first
  Tensor labels;     ///< (R) i64: class, or the number of classes for background
  Tensor targets;    ///< (R, 4) f32: deltas that lead to the object, 0 of background
  Tensor columns;    ///< (R) i32: first of the class's four deltas, -1 of background
  RegionCounts counts;
};

/// Adds the objects to the proposals, matches (0.5, no low-quality matches) and samples. Works on
/// the host: proposals are copied there once per step. Everything returned is on `device`.
Regions select_regions(const std::vector<Proposals>& proposals,
                       const std::vector<GroupPictures>& pictures, const DetectorConfig& config,
                       const Sampler& sampler, const SampleAddress& address, Device device);

/// One picture's regions with their classes and objects, on the host.
struct PictureRegions {
  Tensor boxes;    ///< (n, 4) f32
  Tensor labels;   ///< (n) i32: class or, for background, the number of classes
  Tensor objects;  ///< (n, 4) f32; of background not used
};

/// What select_regions makes of chosen regions: `of_groups[g]` are the pictures of group g.
Regions regions_of(const std::vector<std::vector<PictureRegions>>& of_groups,
                   const DetectorConfig& config, Device device);

}  // namespace invp
