// Boxes (x0, y0, x1, y1) in pixels, f32: overlaps, and boxes written relative to others. None is
// differentiable. All throw for other shapes and dtypes.
#pragma once

#include "engine/core/tensor.h"

namespace invp {

/// exp of more than this would make a box over 62.5 times as large: ln(1000 / 16).
inline constexpr float kMostStretch = 4.135166556742356F;

/// What the four parts of the deltas are multiplied by.
struct BoxWeights {
  float x = 1;
  float y = 1;
  float width = 1;
  float height = 1;
};

/// Intersection over union of a (n, 4) and b (m, 4): (n, m) f32, 0 of boxes that do not meet.
Tensor box_iou(const Tensor& a, const Tensor& b);

/// deltas[i] = what leads from boxes[i] to targets[i]: the way between the centers in widths and
/// heights, and the logarithms of the stretches, each times its weight. Both (n, 4).
Tensor encode_boxes(const Tensor& boxes, const Tensor& targets, const BoxWeights& weights);

/// The reverse: deltas (n, 4 k) and boxes (n, 4) -> (n, 4 k), k boxes from each. Stretches are
/// bounded by kMostStretch.
Tensor decode_boxes(const Tensor& deltas, const Tensor& boxes, const BoxWeights& weights);

struct Candidates {
  Tensor boxes;   ///< (B, k, 4) f32
  Tensor scores;  ///< (B, k) f32, NaN where there is no candidate
};

/// The chosen boxes of each of B pictures, inside it: scores (B, n) f32, deltas (B, n, 4) f32,
/// boxes (n, 4) f32, the same for every picture, or (B, n, 4), rows (B, k) i32 as top_scores gives
/// them, sizes (B, 2) f32: height and width. No candidate is a row of -1, a value that is not
/// finite, or a box without area inside the picture; its box is 0.
Candidates candidate_boxes(const Tensor& scores, const Tensor& deltas, const Tensor& boxes,
                           const Tensor& rows, const Tensor& sizes, const BoxWeights& weights);

/// taken[b][i] = boxes[b][rows[b][i]], 0 where the row is -1: (B, n, 4) f32 by (B, k) i32.
Tensor take_boxes(const Tensor& boxes, const Tensor& rows);

}  // namespace invp
