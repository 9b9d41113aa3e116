// From a scene to pixels. Figures are drawn from back to front, each within its bounding circle;
// the distance to the outline gives a pixel's coverage.
#include <algorithm>
#include <cmath>

#include "data/synthetic/scene.h"
#include "engine/core/error.h"

namespace invp::synthetic {
namespace {

Color mix(const Color& a, const Color& b, float t) {
  return {a.red + t * (b.red - a.red), a.green + t * (b.green - a.green),
          a.blue + t * (b.blue - a.blue)};
}

Color scaled(const Color& a, float factor) {
  return {factor * a.red, factor * a.green, factor * a.blue};
}

/// The canvas: colors of size × size pixels over the square from -1 to 1.
struct Canvas {
  int size;
  std::vector<Color> colors;

  float pixel() const { return 2.0F / static_cast<float>(size); }
  float coordinate(int i) const { return (static_cast<float>(i) + 0.5F) * pixel() - 1; }
  /// The pixels whose centres may lie within `reach` of `centre`, as [first, last).
  int first(float centre, float reach) const {
    return std::clamp(static_cast<int>((centre - reach + 1) / pixel()), 0, size);
  }
  int last(float centre, float reach) const {
    return std::clamp(static_cast<int>((centre + reach + 1) / pixel()) + 1, 0, size);
  }
  Color& at(int x, int y) { return colors[static_cast<std::size_t>(y) * size + x]; }
};

void draw_background(const Scene& scene, Canvas& canvas) {
  const Point along{0.5F * std::cos(scene.background_angle),
                    0.5F * std::sin(scene.background_angle)};
  for (int row = 0; row < canvas.size; ++row) {
    const float y = canvas.coordinate(row);
    for (int column = 0; column < canvas.size; ++column) {
      const float x = canvas.coordinate(column);
      float wave = 0;
      for (const Wave& w : scene.waves) {
        wave += w.depth * std::cos(w.direction.x * x + w.direction.y * y + w.phase);
      }
      const Color c =
          mix(scene.background[0], scene.background[1], 0.5F + along.x * x + along.y * y);
      canvas.at(column, row) = {c.red + wave, c.green + wave, c.blue + wave};
    }
  }
}

/// A figure with the transforms from the image to its shape and its texture.
class Placed {
 public:
  explicit Placed(const Figure& figure)
      : figure_(figure),
        cos_(std::cos(figure.angle)),
        sin_(std::sin(figure.angle)),
        width_(figure.radius * std::sqrt(figure.aspect)),
        height_(figure.radius / std::sqrt(figure.aspect)),
        texture_cos_(std::cos(figure.texture_angle)),
        texture_sin_(std::sin(figure.texture_angle)) {}

  /// From the image to the figure's axes, in units of the image.
  Point turned(float x, float y) const {
    const Point d{x - figure_.centre.x, y - figure_.centre.y};
    return {cos_ * d.x + sin_ * d.y, cos_ * d.y - sin_ * d.x};
  }
  /// Distance to the outline in units of the image; too small where the figure is stretched.
  float distance(Point local) const {
    return signed_distance(figure_.shape, {local.x / width_, local.y / height_}) *
           std::min(width_, height_);
  }
  Color surface(Point local, float pixel) const {
    if (figure_.style.duty >= 1) return figure_.paint[0];
    const Point p{(texture_cos_ * local.x + texture_sin_ * local.y) / figure_.period,
                  (texture_cos_ * local.y - texture_sin_ * local.x) / figure_.period};
    return mix(figure_.paint[1], figure_.paint[0],
               texture(figure_.texture, figure_.style, p, pixel / figure_.period));
  }
  float reach() const { return 1.05F * std::max(width_, height_); }

 private:
  const Figure& figure_;
  float cos_, sin_, width_, height_, texture_cos_, texture_sin_;
};

/// The share of a pixel that lies inside an outline at this distance from its centre.
float coverage(float distance, float pixel) {
  return std::clamp(0.5F - distance / pixel, 0.0F, 1.0F);
}

/// Darkens the canvas below the figure, on the side away from the light.
void draw_shadow(const Figure& figure, const Placed& placed, Point light, Canvas& canvas) {
  const float throw_length = 0.12F * figure.radius;
  const float blur = 0.25F * figure.radius;
  const Point centre{figure.centre.x - throw_length * light.x,
                     figure.centre.y - throw_length * light.y};
  const float reach = placed.reach() + blur;
  for (int row = canvas.first(centre.y, reach); row < canvas.last(centre.y, reach); ++row) {
    for (int column = canvas.first(centre.x, reach); column < canvas.last(centre.x, reach);
         ++column) {
      const float distance =
          placed.distance(placed.turned(canvas.coordinate(column) + throw_length * light.x,
                                        canvas.coordinate(row) + throw_length * light.y));
      const float shade = std::clamp(0.5F - distance / blur, 0.0F, 1.0F);
      Color& c = canvas.at(column, row);
      c = scaled(c, 1 - 0.45F * figure.relief * shade);
    }
  }
}

void draw_figure(const Figure& figure, Point light, Canvas& canvas) {
  const Placed placed(figure);
  if (figure.relief > 0) draw_shadow(figure, placed, light, canvas);
  const float pixel = canvas.pixel();
  const float reach = placed.reach() + pixel;
  for (int row = canvas.first(figure.centre.y, reach); row < canvas.last(figure.centre.y, reach);
       ++row) {
    const float y = canvas.coordinate(row);
    for (int column = canvas.first(figure.centre.x, reach);
         column < canvas.last(figure.centre.x, reach); ++column) {
      const float x = canvas.coordinate(column);
      const Point local = placed.turned(x, y);
      const float distance = placed.distance(local);
      const float cover = figure.opacity * coverage(distance, pixel);
      if (cover <= 0) continue;
      // Brighter towards the light and darker along the outline, so that it looks round.
      const float facing =
          ((x - figure.centre.x) * light.x + (y - figure.centre.y) * light.y) / figure.radius;
      const float rim = std::clamp(1 + distance / (0.18F * figure.radius), 0.0F, 1.0F);
      const float lit = 1 + figure.relief * (0.28F * facing - 0.35F * rim * rim);
      Color& c = canvas.at(column, row);
      c = mix(c, scaled(placed.surface(local, pixel), lit), cover);
    }
  }
}

std::uint8_t to_byte(float value) {
  return static_cast<std::uint8_t>(std::clamp(value, 0.0F, 1.0F) * 255 + 0.5F);
}

/// Nearly normal with standard deviation 1, from the four bytes of one word: their sum has mean 510
/// and variance 4 (256² − 1) / 12.
float grain(std::uint32_t word) {
  const std::uint32_t sum = (word & 0xFF) + (word >> 8 & 0xFF) + (word >> 16 & 0xFF) + (word >> 24);
  return (static_cast<float>(sum) - 510) / 147.8F;
}

}  // namespace

Extent extent_of(const Figure& figure, int size) {
  const Canvas canvas{size, {}};
  const Placed placed(figure);
  const float reach = placed.reach() + canvas.pixel();
  Extent extent{size, size, 0, 0};
  for (int row = canvas.first(figure.centre.y, reach); row < canvas.last(figure.centre.y, reach);
       ++row) {
    for (int column = canvas.first(figure.centre.x, reach);
         column < canvas.last(figure.centre.x, reach); ++column) {
      const Point local = placed.turned(canvas.coordinate(column), canvas.coordinate(row));
      if (coverage(placed.distance(local), canvas.pixel()) < 0.5F) continue;
      extent = {std::min(extent.left, column), std::min(extent.top, row),
                std::max(extent.right, column + 1), std::max(extent.bottom, row + 1)};
    }
  }
  return extent.right > extent.left ? extent : Extent{};
}

Image draw(const Scene& scene, int size, Random& random) {
  CHECK(size > 0, "[synthetic] an image has at least one pixel, got size ", size);
  Canvas canvas{size, std::vector<Color>(static_cast<std::size_t>(size) * size)};
  draw_background(scene, canvas);
  for (const Figure& figure : scene.figures) draw_figure(figure, scene.light, canvas);
  Image image(size, size);
  std::uint8_t* out = image.pixels.data();
  for (int row = 0; row < size; ++row) {
    const float y = canvas.coordinate(row);
    for (int column = 0; column < size; ++column) {
      const float x = canvas.coordinate(column);
      const float away = 0.5F - 0.5F * (x * scene.light.x + y * scene.light.y);
      const Color c = scaled(canvas.at(column, row), 1 - scene.light_fall * std::max(away, 0.0F));
      for (const float channel : {c.red, c.green, c.blue}) {
        *out++ = to_byte(channel + scene.noise * grain(random.bits()));
      }
    }
  }
  return image;
}

}  // namespace invp::synthetic
