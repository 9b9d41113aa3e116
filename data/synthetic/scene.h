// One image of the synthetic set: what it shows (compose) and how it becomes pixels (draw). The
// label decides the shape and the texture of its objects. Everything else is random and independent
// of the label.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "data/images/image.h"
#include "data/synthetic/shapes.h"
#include "data/synthetic/textures.h"
#include "engine/core/random.h"

namespace invp::synthetic {

/// Red, green, blue; 0 to 1 in the final image, any value before.
struct Color {
  float red = 0;
  float green = 0;
  float blue = 0;
};

/// A shape with a textured surface. The image spans -1 to 1 in x and y, y downwards.
struct Figure {
  Shape shape = Shape::kDisc;
  Point centre;
  float radius = 0.5F;
  float angle = 0;   ///< radians
  float aspect = 1;  ///< width over height, area kept
  Texture texture = Texture::kPlain;
  TextureStyle style;
  float period = 0.3F;      ///< of the texture
  float texture_angle = 0;  ///< radians, from the shape's own axes
  std::array<Color, 2> paint;
  float opacity = 1;
  float relief = 0;  ///< strength of shading and shadow; 0: flat, without a shadow
};

/// A slow wave of brightness in the background.
struct Wave {
  Point direction;  ///< radians per unit
  float phase = 0;
  float depth = 0;
};

struct Scene {
  std::array<Color, 2> background;
  float background_angle = 0;
  std::array<Wave, 3> waves;
  std::vector<Figure> figures;  ///< from back to front: clutter, objects, twigs
  Point light;                  ///< direction the light comes from, length 1
  float light_fall = 0;         ///< how much darker the image is away from the light
  float noise = 0;              ///< standard deviation of the grain, per pixel and channel
};

/// The shape and the texture of a class. Up to 10 classes share neither; up to 100 share no pair of
/// them. Throws Error for a label outside 0..99.
struct ClassLook {
  Shape shape = Shape::kDisc;
  Texture texture = Texture::kPlain;
};
ClassLook look_of(int label);

Scene compose(const ClassLook& look, Random& random);

struct Object {
  int label = 0;
  std::size_t figure = 0;  ///< of the scene
};

/// A scene of 2 to 6 smaller objects of classes 0 to `classes` - 1. They may hide up to about a
/// third of each other.
Scene compose_several(int classes, Random& random, std::vector<Object>& objects);

/// Pixels, right and bottom exclusive.
struct Extent {
  int left = 0, top = 0, right = 0, bottom = 0;
};
/// The box of the pixels that the figure covers by half or more, within an image of size x size;
/// empty where there are none.
Extent extent_of(const Figure& figure, int size);

/// The scene as size × size pixels; the grain comes from `random`. The same scene looks the same at
/// every size.
Image draw(const Scene& scene, int size, Random& random);

}  // namespace invp::synthetic
