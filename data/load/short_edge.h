// The size at which a detector sees a picture, and where boxes come to lie.
#pragma once

#include <cstdint>

#include "data/detection/detection_set.h"
#include "data/load/boxed_pictures.h"

namespace invp {

/// At test, and the border of training's sizes (supplement B.5, MoCo's setting).
inline constexpr int kTestShortEdge = 800;
inline constexpr int kLongestSide = 1333;

struct ViewSize {
  int height = 0, width = 0;
  bool operator==(const ViewSize&) const = default;
};

/// The shorter side becomes `short_edge`; if the longer would then exceed `longest`, that becomes
/// `longest`. detectron2's rule: in f64, each side trunc(v + 0.5). Here a side keeps one pixel at
/// least, of pictures that are longer than wide by a thousand.
ViewSize view_size(int height, int width, int short_edge, int longest);

/// Fills `boxes` and `labels` of a view whose picture, size and mirroring are set: the picture's
/// truth (is_truth) scaled, mirrored and clipped in f64, rounded to f32; boxes that then have a
/// side of at most kLeastSide are left out.
void place_truth(const DetectionSet& set, BoxedView& view);

}  // namespace invp
