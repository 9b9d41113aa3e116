#include "engine/ops/detection/nms.h"

#include <cmath>
#include <limits>

#include "engine/ops/detection/box_checks.h"

namespace invp {

namespace {

/// The largest float up to a number: an f32 is larger than the one exactly if it is larger than the
/// other.
float float_below(double number) {
  const auto nearest = static_cast<float>(number);
  return static_cast<double>(nearest) > number
             ? std::nextafter(nearest, -std::numeric_limits<float>::infinity())
             : nearest;
}

}  // namespace

Kept nms(const Tensor& boxes, const Tensor& scores, const Tensor& groups, double threshold,
         std::int64_t most) {
  check_lists_of_boxes("nms", boxes);
  const Shape lists{boxes.dim(0), boxes.dim(1)};
  check_part("nms", "scores", scores, lists, DType::kF32, boxes);
  if (groups.defined()) check_part("nms", "groups", groups, lists, DType::kI32, boxes);
  CHECK(threshold >= 0 && threshold <= 1, "[nms] the threshold must lie in [0, 1], got ",
        threshold);
  CHECK(most >= 0, "[nms] cannot keep ", most, " boxes");
  const Kept kept{Tensor::empty({lists[0], most}, DType::kI32, boxes.device()),
                  Tensor::empty({lists[0]}, DType::kI32, boxes.device())};
  DISPATCH(boxes.device(), nms, boxes, scores, groups, float_below(threshold), kept);
  return kept;
}

}  // namespace invp
