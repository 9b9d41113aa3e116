// Non-maximum suppression: goes through the boxes of each picture in the order of top_scores.h and
// keeps those that overlap no kept box of their group by more than a threshold
// (torchvision.ops.nms and batched_nms, of equal scores always the lower index).
//   boxes (B, n, 4) f32; scores (B, n) f32, NaN: no candidate; groups (B, n) i32, classes for
//   example, or undefined: all are one group -> rows (B, most) i32, the kept boxes in that order
//   and then -1; counts (B) i32.
//   On a GPU nothing is copied to the host; n^2 / 8 bytes of workspace a picture.
//   Not differentiable. Throws for other shapes and dtypes, and for a threshold outside [0, 1].
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"

namespace invp {

struct Kept {
  Tensor rows;
  Tensor counts;
};

/// `most`: of a picture.
Kept nms(const Tensor& boxes, const Tensor& scores, const Tensor& groups, double threshold,
         std::int64_t most);

/// Suppressed is what overlaps by more than `limit`.
KERNEL(nms, const Tensor& boxes, const Tensor& scores, const Tensor& groups, float limit,
       const Kept& kept);

}  // namespace invp
