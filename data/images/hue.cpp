// RGB -> HSV -> RGB (pixel_arithmetic.h), in loops over a tile of pixels, so that it vectorises.
#include <algorithm>

#include "data/images/planes.h"
#include "engine/core/error.h"
#include "engine/ops/image/pixel_arithmetic.h"

namespace invp {
namespace {

constexpr int kTile = 64;

/// The sector of each hue after the turn.
struct HueTable {
  std::int32_t sector[256];
  float fraction[256];

  explicit HueTable(int shift) {
    for (int hue = 0; hue < 256; ++hue) {
      const pixel::HueSector turned = pixel::sector_of((hue + shift) & 255);
      sector[hue] = turned.sector;
      fraction[hue] = turned.fraction;
    }
  }
};

void shift_tile(std::uint8_t* __restrict red, std::uint8_t* __restrict green,
                std::uint8_t* __restrict blue, int n, const HueTable& table) {
  std::int32_t hue[kTile], saturation[kTile];
  for (int i = 0; i < n; ++i) {
    const int r = red[i], g = green[i], b = blue[i];
    const int mx = std::max(r, std::max(g, b)), mn = std::min(r, std::min(g, b));
    hue[i] = pixel::hue_of(r, g, b, mx, mn);
    saturation[i] = pixel::saturation_of(mx, mn);
  }
  for (int i = 0; i < n; ++i) {
    const int v = std::max<int>(red[i], std::max(green[i], blue[i]));
    const pixel::Rgb rgb =
        pixel::from_hsv(table.sector[hue[i]], table.fraction[hue[i]], saturation[i], v);
    red[i] = static_cast<std::uint8_t>(rgb.r);
    green[i] = static_cast<std::uint8_t>(rgb.g);
    blue[i] = static_cast<std::uint8_t>(rgb.b);
  }
}

}  // namespace

void adjust_hue(Planes& planes, double factor) {
  CHECK(factor >= -0.5 && factor <= 0.5, "[hue] the factor lies in [-0.5, 0.5], got ", factor);
  const HueTable table(pixel::hue_shift(factor));
  const std::size_t n = planes.area();
  for (std::size_t i = 0; i < n; i += kTile) {
    const int count = static_cast<int>(std::min<std::size_t>(kTile, n - i));
    shift_tile(planes.plane(0) + i, planes.plane(1) + i, planes.plane(2) + i, count, table);
  }
}

}  // namespace invp
