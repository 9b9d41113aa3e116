#include <cmath>

#include "data/images/planes.h"
#include "data/images/transform.h"
#include "engine/core/error.h"
#include "engine/ops/image/pixel_arithmetic.h"

namespace invp {
namespace {

using pixel::blend;
using pixel::luma;

void check_factor(const char* op, double factor) {
  CHECK(std::isfinite(factor) && factor >= 0, "[", op, "] the factor is not negative, got ",
        factor);
}

void blend_all(Planes& planes, float degenerate, float alpha) {
  const std::size_t n = planes.area();
  for (int c = 0; c < 3; ++c) {
    std::uint8_t* v = planes.plane(c);
    for (std::size_t i = 0; i < n; ++i) v[i] = blend(degenerate, v[i], alpha);
  }
}

/// Applies an operation on planes to an Image.
template <class Operation>
void in_planes(Image& image, Operation operation) {
  Planes planes;
  to_planes(image, planes);
  operation(planes);
  to_image(planes, image);
}

}  // namespace

void adjust_brightness(Planes& planes, double factor) {
  check_factor("brightness", factor);
  blend_all(planes, 0.0f, static_cast<float>(factor));
}

void adjust_contrast(Planes& planes, double factor) {
  check_factor("contrast", factor);
  if (planes.area() == 0) return;
  const std::uint8_t *r = planes.plane(0), *g = planes.plane(1), *b = planes.plane(2);
  std::int64_t sum = 0;
  for (int y = 0; y < planes.height; ++y) {
    std::int32_t row = 0;  // 32 bits hold it up to rows of 2^23 pixels, and vectorise best
    for (int x = 0; x < planes.width; ++x) row += luma(r[x], g[x], b[x]);
    sum += row;
    r += planes.width, g += planes.width, b += planes.width;
  }
  blend_all(planes, pixel::contrast_level(sum, static_cast<std::int64_t>(planes.area())),
            static_cast<float>(factor));
}

void adjust_saturation(Planes& planes, double factor) {
  check_factor("saturation", factor);
  const auto alpha = static_cast<float>(factor);
  const std::size_t n = planes.area();
  std::uint8_t *__restrict r = planes.plane(0), *__restrict g = planes.plane(1),
                           *__restrict b = planes.plane(2);
  for (std::size_t i = 0; i < n; ++i) {
    const auto gray = static_cast<float>(luma(r[i], g[i], b[i]));
    r[i] = blend(gray, r[i], alpha);
    g[i] = blend(gray, g[i], alpha);
    b[i] = blend(gray, b[i], alpha);
  }
}

void grayscale(Planes& planes) {
  const std::size_t n = planes.area();
  std::uint8_t *__restrict r = planes.plane(0), *__restrict g = planes.plane(1),
                           *__restrict b = planes.plane(2);
  for (std::size_t i = 0; i < n; ++i) {
    r[i] = g[i] = b[i] = static_cast<std::uint8_t>(luma(r[i], g[i], b[i]));
  }
}

void adjust_brightness(Image& image, double factor) {
  in_planes(image, [&](Planes& planes) { adjust_brightness(planes, factor); });
}
void adjust_contrast(Image& image, double factor) {
  in_planes(image, [&](Planes& planes) { adjust_contrast(planes, factor); });
}
void adjust_saturation(Image& image, double factor) {
  in_planes(image, [&](Planes& planes) { adjust_saturation(planes, factor); });
}
void adjust_hue(Image& image, double factor) {
  in_planes(image, [&](Planes& planes) { adjust_hue(planes, factor); });
}
void grayscale(Image& image) {
  in_planes(image, [](Planes& planes) { grayscale(planes); });
}
void gaussian_blur(Image& image, double sigma) {
  std::vector<std::uint8_t> scratch;
  in_planes(image, [&](Planes& planes) { gaussian_blur(planes, sigma, scratch); });
}

}  // namespace invp
