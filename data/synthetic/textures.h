// Surfaces of the synthetic set: the other half of what makes its classes.
#pragma once

#include <cstdint>

#include "data/synthetic/shapes.h"

namespace invp::synthetic {

enum class Texture : std::uint8_t {
  kStripes,
  kDots,
  kChecks,
  kSpokes,
  kPlain,
  kCells,
  kBricks,
  kRings,
  kChevrons,
  kSpeckle,
};
inline constexpr int kTextures = 10;
const char* name_of(Texture texture);

/// What tells two surfaces of one family apart.
struct TextureStyle {
  float duty = 0.5F;       ///< share of the surface in the first color, 0.35 to 0.65
  Point phase;             ///< offset of the pattern, in periods
  float warp = 0;          ///< depth of a slow wave that bends the pattern, in periods
  int spokes = 6;          ///< of kSpokes
  std::uint32_t seed = 0;  ///< of kCells and kSpeckle
};

/// How much of the first of two colors shows at p, 0 to 1. Lengths are in periods of the pattern;
/// `pixel` is the width of a pixel, over which edges are softened. p is measured from the centre of
/// the figure, about which kRings and kSpokes are drawn.
float texture(Texture family, const TextureStyle& style, Point p, float pixel);

}  // namespace invp::synthetic
