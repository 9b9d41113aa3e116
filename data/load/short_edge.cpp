#include "data/load/short_edge.h"

#include <algorithm>
#include <array>
#include <vector>

#include "data/detection/training_truth.h"

namespace invp {

ViewSize view_size(int height, int width, int short_edge, int longest) {
  const double scale = static_cast<double>(short_edge) / std::min(height, width);
  double h = height < width ? short_edge : scale * height;
  double w = height < width ? scale * width : short_edge;
  if (const double longer = std::max(h, w); longer > longest) {
    const double smaller = longest / longer;
    h *= smaller;
    w *= smaller;
  }
  return {std::max(1, static_cast<int>(h + 0.5)), std::max(1, static_cast<int>(w + 0.5))};
}

void place_truth(const DetectionSet& set, BoxedView& view) {
  const BoxedPicture& picture = set.pictures[static_cast<std::size_t>(view.picture)];
  const auto width = static_cast<double>(view.width), height = static_cast<double>(view.height);
  const double x_scale = width / picture.width, y_scale = height / picture.height;
  std::vector<float> boxes;
  std::vector<std::int32_t> labels;
  for (const BoxedObject& object : set.objects_of(view.picture)) {
    if (!is_truth(set, object)) continue;
    double left = object.box.x * x_scale, right = object.box.right() * x_scale;
    if (view.flipped) left = width - std::exchange(right, width - left);
    const std::array<float, 4> box = {
        static_cast<float>(std::clamp(left, 0.0, width)),
        static_cast<float>(std::clamp(object.box.y * y_scale, 0.0, height)),
        static_cast<float>(std::clamp(right, 0.0, width)),
        static_cast<float>(std::clamp(object.box.bottom() * y_scale, 0.0, height))};
    // Of the f32 sides: a box that rounding closes would have no logarithm.
    constexpr auto kLeast = static_cast<float>(kLeastSide);
    if (box[2] - box[0] <= kLeast || box[3] - box[1] <= kLeast) continue;
    boxes.insert(boxes.end(), box.begin(), box.end());
    labels.push_back(object.label);
  }
  view.boxes = Tensor::from(boxes, {std::ssize(labels), 4});
  view.labels = Tensor::from(labels, {std::ssize(labels)});
}

}  // namespace invp
