#include "data/synthetic/textures.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace invp::synthetic {
namespace {

constexpr float kTau = 2 * std::numbers::pi_v<float>;

float fraction(float x) {
  return x - std::floor(x);
}
float length(float x, float y) {
  return std::sqrt(x * x + y * y);
}

/// Share of a pixel on the positive side of an edge at signed distance d.
float coverage(float d, float pixel) {
  return std::clamp(d / pixel + 0.5F, 0.0F, 1.0F);
}

/// Signed distance to bars of width `duty` and period 1 along x, positive on them.
float bars(float x, float duty) {
  return 0.5F * duty - std::abs(fraction(x) - 0.5F);
}

float dots(Point p, float duty, float pixel) {
  const float radius = std::sqrt(0.7F * duty / (kTau / 2));
  return coverage(radius - length(fraction(p.x) - 0.5F, fraction(p.y) - 0.5F), pixel);
}

float checks(Point p, float pixel) {
  const float x = coverage(bars(p.x, 0.5F), pixel);
  const float y = coverage(bars(p.y, 0.5F), pixel);
  return x * (1 - y) + y * (1 - x);
}

/// Rows of bricks, two high for one long, each row shifted by half a brick.
float bricks(Point p, float duty, float pixel) {
  const float row = std::floor(p.y * 1.5F);
  const float x = fraction(p.x * 0.75F + (std::fmod(row, 2.0F) == 0 ? 0.0F : 0.5F));
  const float to_side = (0.5F - std::abs(x - 0.5F)) / 0.75F;
  const float to_bed = (0.5F - std::abs(fraction(p.y * 1.5F) - 0.5F)) / 1.5F;
  return coverage(std::min(to_side, to_bed) - 0.06F - 0.1F * (1 - duty), pixel);
}

/// Integer hash of a lattice point (the finaliser of MurmurHash3), uniform in 32 bits.
std::uint32_t hash(float x, float y, std::uint32_t seed) {
  std::uint32_t h = seed ^
                    (static_cast<std::uint32_t>(static_cast<std::int32_t>(x)) * 0x9E3779B1U) ^
                    (static_cast<std::uint32_t>(static_cast<std::int32_t>(y)) * 0x85EBCA77U);
  h = (h ^ (h >> 16)) * 0x85EBCA6BU;
  h = (h ^ (h >> 13)) * 0xC2B2AE35U;
  return h ^ (h >> 16);
}

/// Cracks between the cells of a jittered lattice: half the difference between the distances to the
/// second nearest and the nearest centre is about the distance to the crack.
float cells(Point p, float duty, std::uint32_t seed, float pixel) {
  const float column = std::floor(p.x);
  const float row = std::floor(p.y);
  float nearest = 9;
  float second = 9;
  for (float y = row - 1; y <= row + 1; ++y) {
    for (float x = column - 1; x <= column + 1; ++x) {
      const std::uint32_t h = hash(x, y, seed);
      const float dx = x + 0.15F + 0.7F * static_cast<float>(h & 0xFFFF) / 65536 - p.x;
      const float dy = y + 0.15F + 0.7F * static_cast<float>(h >> 16) / 65536 - p.y;
      const float d = dx * dx + dy * dy;
      second = std::min(second, std::max(nearest, d));
      nearest = std::min(nearest, d);
    }
  }
  return coverage(0.5F * (std::sqrt(second) - std::sqrt(nearest)) - 0.2F * (1 - duty), pixel);
}

/// Smooth random values on a lattice, cut at the level that leaves about `duty` above it. Height
/// over steepness is about the distance to the cut.
float speckle(Point p, float duty, std::uint32_t seed, float pixel) {
  const float column = std::floor(p.x);
  const float row = std::floor(p.y);
  const float fx = p.x - column;
  const float fy = p.y - row;
  const float x = fx * fx * (3 - 2 * fx);
  const float y = fy * fy * (3 - 2 * fy);
  const auto value = [&](float i, float j) {
    return static_cast<float>(hash(column + i, row + j, seed) & 0xFFFF) / 65536;
  };
  const float corner = value(0, 0);
  const float along = value(1, 0) - corner;
  const float down = value(0, 1) - corner;
  const float twist = value(1, 1) - corner - along - down;
  const float height = corner + along * x + down * y + twist * x * y - (1 - duty);
  const float slope =
      length((along + twist * y) * 6 * fx * (1 - fx), (down + twist * x) * 6 * fy * (1 - fy));
  return coverage(height / std::max(slope, 0.5F), pixel);
}

}  // namespace

const char* name_of(Texture texture) {
  switch (texture) {
    case Texture::kStripes: return "striped";
    case Texture::kDots: return "dotted";
    case Texture::kChecks: return "checked";
    case Texture::kSpokes: return "spoked";
    case Texture::kPlain: return "plain";
    case Texture::kCells: return "cracked";
    case Texture::kBricks: return "bricked";
    case Texture::kRings: return "ringed";
    case Texture::kChevrons: return "chevroned";
    case Texture::kSpeckle: return "speckled";
  }
  return "?";
}

float texture(Texture family, const TextureStyle& style, Point p, float pixel) {
  const Point centred = p;
  p.x += style.phase.x + style.warp * std::sin(kTau * 0.3F * (p.y + style.phase.y));
  p.y += style.phase.y + style.warp * std::sin(kTau * 0.3F * (centred.x + style.phase.x));
  switch (family) {
    case Texture::kStripes: return coverage(bars(p.x, style.duty), pixel);
    case Texture::kDots: return dots(p, style.duty, pixel);
    case Texture::kChecks: return checks({0.7F * p.x, 0.7F * p.y}, 0.7F * pixel);
    case Texture::kSpokes: {
      const float turn = static_cast<float>(style.spokes) * std::atan2(centred.y, centred.x) / kTau;
      const float arc = kTau * length(centred.x, centred.y) / static_cast<float>(style.spokes);
      return coverage(bars(turn + style.phase.x, style.duty) * arc, pixel);
    }
    case Texture::kPlain: return std::clamp(style.duty + 0.1F * centred.x, 0.0F, 1.0F);
    case Texture::kCells:
      return cells({0.8F * p.x, 0.8F * p.y}, style.duty, style.seed, 0.8F * pixel);
    case Texture::kBricks: return bricks(p, style.duty, pixel);
    case Texture::kRings:
      return coverage(bars(length(centred.x, centred.y) + style.phase.x, style.duty), pixel);
    case Texture::kChevrons:
      return coverage(bars(p.x + 1.2F * std::abs(fraction(0.45F * p.y) - 0.5F), style.duty), pixel);
    case Texture::kSpeckle:
      return speckle({2.2F * p.x, 2.2F * p.y}, style.duty, style.seed, 2.2F * pixel);
  }
  return 0;
}

}  // namespace invp::synthetic
