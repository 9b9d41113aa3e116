// Which object each box belongs to (detectron2's Matcher), picture by picture.
//   objects (B, m, 4) f32, of which the first counts[b] are there, counts (B) i32; boxes (n, 4)
//   f32, the same for every picture, or (B, n, 4) -> objects (B, n) i32, the object of the largest
//   IoU, of equals the first; labels (B, n) i32: 1 where that IoU is at least `high`, 0 below
//   `low`, kNoLabel between. With low_quality every box whose IoU with some object is the largest
//   of that object, to the bit, is 1 as well and stays with its own object. Without objects all are
//   0. Boxes from box_counts[b] on, (B) i32 if it is defined, are kNoLabel with object 0. On a GPU
//   nothing is copied to the host. Not differentiable. Throws for other shapes and dtypes.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"

namespace invp {

inline constexpr std::int32_t kNoLabel = -1;

struct MatchParams {
  float low = 0.3F;
  float high = 0.7F;
  bool low_quality = true;
};

struct Matches {
  Tensor objects;
  Tensor labels;
};

Matches match_boxes(const Tensor& objects, const Tensor& counts, const Tensor& boxes,
                    const Tensor& box_counts, const MatchParams& params);

struct MatchProblem;
KERNEL(match_boxes, Device device, const MatchProblem& problem);

}  // namespace invp
