#include "data/detection/detections.h"

#include <cmath>

namespace invp {
namespace {

/// What printing an f32 number with a few decimals leaves of it: `steps` is 10 or 1000. The product
/// is exact, so ties go to even as in printf.
double with_decimals(float value, double steps) {
  return std::nearbyint(static_cast<double>(value) * steps) / steps;
}

std::array<float, 4> corners_of(const Detection& detection, BoxForm form) {
  const auto& box = detection.box;
  const auto f = [](double value) { return static_cast<float>(value); };
  if (form == BoxForm::kSizes)
    return {f(box[0]), f(box[1]), f(box[0] + box[2]), f(box[1] + box[3])};
  return {f(box[0]), f(box[1]), f(box[2]), f(box[3])};
}

}  // namespace

Detections as_voc_text(const Detections& detections) {
  Detections text = detections;
  if (detections.form == BoxForm::kVocText) return text;
  text.form = BoxForm::kVocText;
  for (Detection& row : text.rows) {
    const auto [x0, y0, x1, y1] = corners_of(row, detections.form);
    row.score = with_decimals(static_cast<float>(row.score), 1000);
    row.box = {with_decimals(x0 + 1.0F, 10), with_decimals(y0 + 1.0F, 10), with_decimals(x1, 10),
               with_decimals(y1, 10)};
  }
  return text;
}

Detections as_sizes(const Detections& detections) {
  Detections sizes = detections;
  sizes.form = BoxForm::kSizes;
  for (Detection& row : sizes.rows) {
    auto& box = row.box;
    if (detections.form == BoxForm::kVocText) {
      box = {box[0] - 1, box[1] - 1, box[2] - (box[0] - 1), box[3] - (box[1] - 1)};
    } else if (detections.form == BoxForm::kCorners) {
      const auto [x0, y0, x1, y1] = corners_of(row, detections.form);
      box = {x0, y0, x1 - x0, y1 - y0};
    }
  }
  return sizes;
}

}  // namespace invp
