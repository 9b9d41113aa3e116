// Pictures of different sizes with the boxes of their objects, as the detector trains on them.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/core/tensor.h"

namespace invp {

/// A picture as the detector trains on it.
struct BoxedView {
  std::int64_t picture = 0;            ///< row of DetectionSet::pictures
  std::int64_t height = 0, width = 0;  ///< of the view itself, without padding
  bool flipped = false;
  Tensor boxes;   ///< (n, 4) f32 x0 y0 x1 y1 in pixels of the view, on the host
  Tensor labels;  ///< (n) i32, on the host
};

/// Pictures that share padding and, in detection's batch norm, statistics: what one GPU of the
/// paper held.
struct BoxedGroup {
  Tensor images;  ///< (N, H, W, 3) f32, normalised; 0 beyond each picture, at the right and bottom
  std::vector<BoxedView> views;  ///< N
};

}  // namespace invp
