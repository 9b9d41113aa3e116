// Outlines of the synthetic set: one half of what makes its classes. Signed distances, so that one
// evaluation a pixel gives anti-aliased edges, soft shadows and shading at any size.
#pragma once

#include <cstdint>

namespace invp::synthetic {

struct Point {
  float x = 0;
  float y = 0;
};

enum class Shape : std::uint8_t {
  kDisc,
  kTriangle,
  kSquare,
  kStar,
  kCross,
  kCrescent,
  kHeart,
  kFlower,
  kRing,
  kCapsule,
};
inline constexpr int kShapes = 10;
const char* name_of(Shape shape);

/// Distance from p to the outline of the shape, negative inside. Shapes are centred on the origin,
/// reach about 1 from it and cover 0.9 to 3.2 units of area. Exact, but
/// for the flower, whose distance grows up to half as fast again near the outline.
float signed_distance(Shape shape, Point p);

}  // namespace invp::synthetic
