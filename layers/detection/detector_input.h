// What a detector looks at: pictures in groups and, in training, the objects in them.
#pragma once

#include <functional>
#include <vector>

#include "engine/ops/detection/sample_labels.h"
#include "engine/ops/groups/map_groups.h"

namespace invp {

/// The pictures of one group, all on the network's device.
struct GroupPictures {
  Tensor sizes;    ///< (N, 2) f32: height and width of each, without padding
  Tensor objects;  ///< (N, m, 4) f32, m >= 1: boxes, those beyond the picture's count are 0
  Tensor classes;  ///< (N, m) i32
  Tensor counts;   ///< (N) i32
};

struct DetectorInput {
  MapGroups images;                     ///< 3 channels, normalized
  std::vector<GroupPictures> pictures;  ///< of each group
};

/// Draws which labeled boxes are trained on: sample_labels, unless a test has another rule.
using Sampler = std::function<Samples(const Tensor& labels, const SampleParams& params)>;

/// Address of a step's samples: the same for any number of processes.
struct SampleAddress {
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  std::uint64_t first_picture = 0;  ///< of the step's, over all processes
};

}  // namespace invp
