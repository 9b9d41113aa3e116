// A rectangle in a picture, and what can be wrong with one.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace invp {

/// In pixels: pixel i covers [i, i + 1). A corner and a size, as COCO's files have it: an overlap
/// that is exactly at a threshold stays there.
struct ObjectBox {
  double x = 0, y = 0, width = 0, height = 0;

  double right() const { return x + width; }
  double bottom() const { return y + height; }
  double area() const { return width * height; }
  bool finite() const {
    return std::isfinite(x) && std::isfinite(y) && std::isfinite(right()) &&
           std::isfinite(bottom());
  }
  friend bool operator==(const ObjectBox&, const ObjectBox&) = default;
};

/// The part of a finite box in a picture of this size.
inline ObjectBox clipped(const ObjectBox& box, double width, double height) {
  const double x0 = std::clamp(box.x, 0.0, width), x1 = std::clamp(box.right(), 0.0, width);
  const double y0 = std::clamp(box.y, 0.0, height), y1 = std::clamp(box.bottom(), 0.0, height);
  return {x0, y0, x1 - x0, y1 - y0};
}

/// What is wrong with the box of an object. Evaluation takes all boxes but those that are no
/// numbers, as the official evaluators do; training clips and drops.
enum class BoxFault : std::uint8_t {
  kNone,
  kReachesOut,  ///< over an edge of the picture: training clips it
  kOutside,     ///< no part lies in the picture: training drops it
  kEmpty,       ///< a side of at most kLeastSide: training drops it
  kNotFinite,   ///< not a number, or infinite: dropped everywhere
};

/// Boxes with a shorter side are dropped in training.
inline constexpr double kLeastSide = 1e-5;

inline BoxFault fault_of(const ObjectBox& box, double width, double height) {
  if (!box.finite()) return BoxFault::kNotFinite;
  if (box.width <= kLeastSide || box.height <= kLeastSide) return BoxFault::kEmpty;
  const ObjectBox inside = clipped(box, width, height);
  if (inside.width <= kLeastSide || inside.height <= kLeastSide) return BoxFault::kOutside;
  const bool whole = box.x >= 0 && box.y >= 0 && box.right() <= width && box.bottom() <= height;
  return whole ? BoxFault::kNone : BoxFault::kReachesOut;
}

}  // namespace invp
