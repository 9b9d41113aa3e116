// The surfaces of the synthetic set's figures; a class is an outline and a texture.
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

/// The parameters that vary within a family.
struct TextureStyle {
  float duty = 0.5F;       ///< share of the surface in the first color, 0.35 to 0.65
  Point phase;             ///< offset of the pattern, in periods
  float warp = 0;          ///< depth of a slow wave that bends the pattern, in periods
  int spokes = 6;          ///< of kSpokes
  std::uint32_t seed = 0;  ///< of kCells and kSpeckle
};

/// The share of the first of two colors at p, 0 to 1. p counts from the centre of the figure, in
/// periods of the pattern. `pixel` is the width of a pixel in periods; edges are softened over it.
float texture(Texture family, const TextureStyle& style, Point p, float pixel);

}  // namespace invp::synthetic
