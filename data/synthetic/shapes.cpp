#include "data/synthetic/shapes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>

namespace invp::synthetic {
namespace {

constexpr float kPi = std::numbers::pi_v<float>;

float length(Point p) {
  return std::sqrt(p.x * p.x + p.y * p.y);
}

/// Distance to a polygon by its edges; the sign by the number of edges a ray to the right crosses.
template <std::size_t kCorners>
float polygon(const std::array<Point, kCorners>& corners, Point p) {
  float nearest = 1e9F;
  bool inside = false;
  for (std::size_t i = 0, j = kCorners - 1; i < kCorners; j = i++) {
    const Point a = corners[i];
    const Point b = corners[j];
    const Point edge{b.x - a.x, b.y - a.y};
    const Point from{p.x - a.x, p.y - a.y};
    const float along = std::clamp(
        (from.x * edge.x + from.y * edge.y) / (edge.x * edge.x + edge.y * edge.y), 0.0F, 1.0F);
    const Point off{from.x - along * edge.x, from.y - along * edge.y};
    nearest = std::min(nearest, off.x * off.x + off.y * off.y);
    if ((a.y > p.y) != (b.y > p.y) && p.x < a.x + (p.y - a.y) * edge.x / edge.y) inside = !inside;
  }
  return inside ? -std::sqrt(nearest) : std::sqrt(nearest);
}

std::array<Point, 10> star_corners() {
  std::array<Point, 10> corners;
  for (std::size_t i = 0; i < corners.size(); ++i) {
    const float radius = i % 2 == 0 ? 1.0F : 0.45F;
    const float angle = kPi / 5 * static_cast<float>(i);
    corners[i] = {radius * std::sin(angle), -radius * std::cos(angle)};
  }
  return corners;
}

float box(Point p, float half_width, float half_height) {
  const Point q{std::abs(p.x) - half_width, std::abs(p.y) - half_height};
  return length({std::max(q.x, 0.0F), std::max(q.y, 0.0F)}) + std::min(std::max(q.x, q.y), 0.0F);
}

/// A disc without a smaller disc to the right of its centre.
float crescent(Point p) {
  return std::max(length(p) - 1.0F, 0.72F - length({p.x - 0.5F, p.y}));
}

/// A square on its corner with two half discs on its upper edges. Laid out with the tip at (0, 0)
/// and y upwards, 1.2 wide and 1.1 high.
float heart(Point p) {
  constexpr float kScale = 1.5F;
  const Point q{std::abs(p.x) / kScale, 0.58F - p.y / kScale};
  if (q.x + q.y > 1.0F) {
    return kScale * (length({q.x - 0.25F, q.y - 0.75F}) - std::sqrt(2.0F) / 4);
  }
  const float diagonal = 0.5F * std::max(q.x + q.y, 0.0F);
  const float distance =
      std::min(length({q.x, q.y - 1.0F}), length({q.x - diagonal, q.y - diagonal}));
  return q.x > q.y ? kScale * distance : -kScale * distance;
}

/// Five petals: r = 0.72 + 0.28 cos 5θ, divided by the steepness of the outline to give a distance.
float flower(Point p) {
  const float angle = 5 * std::atan2(p.y, p.x);
  const float radius = length(p);
  const float slope = 1.4F * std::sin(angle) / std::max(radius, 0.3F);
  return (radius - 0.72F - 0.28F * std::cos(angle)) / std::sqrt(1 + slope * slope);
}

float capsule(Point p) {
  return length({p.x - std::clamp(p.x, -0.58F, 0.58F), p.y}) - 0.42F;
}

}  // namespace

const char* name_of(Shape shape) {
  switch (shape) {
    case Shape::kDisc: return "disc";
    case Shape::kTriangle: return "triangle";
    case Shape::kSquare: return "square";
    case Shape::kStar: return "star";
    case Shape::kCross: return "cross";
    case Shape::kCrescent: return "crescent";
    case Shape::kHeart: return "heart";
    case Shape::kFlower: return "flower";
    case Shape::kRing: return "ring";
    case Shape::kCapsule: return "capsule";
  }
  return "?";
}

float signed_distance(Shape shape, Point p) {
  static constexpr std::array<Point, 3> kTriangle{{{0, -1}, {0.95F, 0.7F}, {-0.95F, 0.7F}}};
  static const std::array<Point, 10> star = star_corners();
  switch (shape) {
    case Shape::kDisc: return length(p) - 0.9F;
    case Shape::kTriangle: return polygon(kTriangle, p);
    case Shape::kSquare: return box(p, 0.78F, 0.78F);
    case Shape::kStar: return polygon(star, p);
    case Shape::kCross: return std::min(box(p, 0.95F, 0.34F), box(p, 0.34F, 0.95F));
    case Shape::kCrescent: return crescent(p);
    case Shape::kHeart: return heart(p);
    case Shape::kFlower: return flower(p);
    case Shape::kRing: return std::abs(length(p) - 0.68F) - 0.3F;
    case Shape::kCapsule: return capsule(p);
  }
  return 1.0F;
}

}  // namespace invp::synthetic
