// The outlines of the synthetic set's figures; a class is an outline and a texture. They are signed
// distances: one evaluation per pixel gives anti-aliased edges, soft shadows and shading.
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
/// reach about 1 from it and cover an area of 0.9 to 3.2. Exact except for the flower, where it
/// grows up to 1.5 times as fast near the outline.
float signed_distance(Shape shape, Point p);

}  // namespace invp::synthetic
