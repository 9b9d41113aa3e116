#include "layers/detection/anchors.h"

#include <array>
#include <cmath>

namespace invp {

Tensor cell_anchors(const AnchorShapes& shapes) {
  std::vector<float> boxes;
  for (const double size : shapes.sizes) {
    for (const double ratio : shapes.ratios) {
      const double width = std::sqrt(size * size / ratio);
      const double height = ratio * width;
      for (const double corner : {-width / 2, -height / 2, width / 2, height / 2})
        boxes.push_back(static_cast<float>(corner));
    }
  }
  return Tensor::from(boxes, {shapes.count(), 4});
}

Tensor grid_anchors(const AnchorShapes& shapes, std::int64_t height, std::int64_t width,
                    int stride) {
  const Tensor cell = cell_anchors(shapes);
  const Tensor anchors = Tensor::empty({height * width * shapes.count(), 4});
  float* to = anchors.data<float>();
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      const std::array at = {static_cast<float>(x * stride), static_cast<float>(y * stride)};
      for (std::int64_t i = 0; i < cell.numel(); ++i)
        *to++ = cell.data<float>()[i] + at[static_cast<std::size_t>(i % 2)];
    }
  }
  return anchors;
}

}  // namespace invp
