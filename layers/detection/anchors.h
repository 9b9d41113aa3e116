// Anchors: the boxes that a region proposal network starts from.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/core/tensor.h"

namespace invp {

struct AnchorShapes {
  std::vector<double> sizes = {32, 64, 128, 256, 512};  ///< square roots of areas, pixels
  std::vector<double> ratios = {0.5, 1, 2};             ///< height / width

  std::int64_t count() const { return std::ssize(sizes) * std::ssize(ratios); }
};

/// Those around the origin, by size and then by ratio: (count, 4) f32, x0 y0 x1 y1 in pixels.
Tensor cell_anchors(const AnchorShapes& shapes);

/// Those of a map, in the order of its rows, columns and shapes: (height * width * count, 4) f32,
/// the ones of cell (0, 0) around the picture's corner and its neighbors' `stride` pixels on.
Tensor grid_anchors(const AnchorShapes& shapes, std::int64_t height, std::int64_t width,
                    int stride);

}  // namespace invp
