// What the two losses of a region proposal network take from the labels of sampled anchors
// (sample_labels.h).
//   labels (n) i32: above 0 positive, 0 negative, kNoLabel neither -> objectness (n) f32 for
//   bce_with_logits.h: 1, 0, kIgnoredTarget; columns (n) i32 for smooth_l1.h: 0 of a positive, else
//   -1. Not differentiable. Throws for other shapes and dtypes.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"

namespace invp {

struct AnchorTargets {
  Tensor objectness;
  Tensor columns;
};

AnchorTargets anchor_targets(const Tensor& labels);

KERNEL(anchor_targets, const Tensor& labels, const AnchorTargets& targets);

}  // namespace invp
