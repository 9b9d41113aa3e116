// RGB -> HSV -> RGB in Pillow's arithmetic: variables are f32, and where its literals are f64 an
// expression is evaluated in f64 and rounded to f32 when stored. Written without branches, in loops
// over a tile of pixels, so that it vectorises.
#include <algorithm>
#include <cmath>

#include "data/planes.h"
#include "engine/core/error.h"

namespace invp {
namespace {

constexpr int kTile = 64;

/// f32 of an f64 value, where f32 + f64 -> f64 -> f32 is what the reference does.
float store(double value) {
  return static_cast<float>(value);
}

/// What HSV -> RGB takes from a hue: its sixth of the circle and the place within it.
struct HueTable {
  std::int32_t sector[256];
  float fraction[256];

  explicit HueTable(int shift) {
    for (int hue = 0; hue < 256; ++hue) {
      const double turned = ((hue + shift) & 255) * 6.0 / 255.0;
      const double whole = std::floor(turned);
      sector[hue] = static_cast<std::int32_t>(whole) % 6;
      fraction[hue] = store(turned - whole);
    }
  }
};

int hue_of(int r, int g, int b, int mx, float range) {
  const float rc = static_cast<float>(mx - r) / range;
  const float gc = static_cast<float>(mx - g) / range;
  const float bc = static_cast<float>(mx - b) / range;
  const float if_red = bc - gc;
  const float if_green = store(2.0 + static_cast<double>(rc) - static_cast<double>(bc));
  const float if_blue = store(4.0 + static_cast<double>(gc) - static_cast<double>(rc));
  const float h = r == mx ? if_red : g == mx ? if_green : if_blue;
  const double turns = static_cast<double>(h) / 6.0 + 1.0;  // in [5/6, 2): the integer is fmod's
  const float fraction = store(turns - static_cast<double>(static_cast<int>(turns)));
  return static_cast<int>(static_cast<double>(fraction) * 255.0);
}

/// Half away from zero; no value here lies within an ulp of a half without being it.
int round_positive(double value) {
  return static_cast<int>(value + 0.5);
}

void shift_tile(std::uint8_t* __restrict red, std::uint8_t* __restrict green,
                std::uint8_t* __restrict blue, int n, const HueTable& table) {
  std::int32_t hue[kTile], saturation[kTile];
  for (int i = 0; i < n; ++i) {
    const int r = red[i], g = green[i], b = blue[i];
    const int mx = std::max(r, std::max(g, b)), mn = std::min(r, std::min(g, b));
    // Grey has range 0 and hue 0: dividing zeros by 1 gives H = trunc(fmod(1, 1) * 255) = 0.
    const float range = static_cast<float>(std::max(mx - mn, 1));
    hue[i] = hue_of(r, g, b, mx, range);
    const float s = static_cast<float>(mx - mn) / static_cast<float>(std::max(mx, 1));
    saturation[i] = static_cast<int>(static_cast<double>(s) * 255.0);
  }
  for (int i = 0; i < n; ++i) {
    const int v = std::max<int>(red[i], std::max(green[i], blue[i]));
    const float f = table.fraction[hue[i]];
    const int sector = table.sector[hue[i]];
    const float fs = static_cast<float>(saturation[i]) / 255.0f;
    // With saturation 0 the three are v.
    const float fs_f = fs * f;
    const int p = round_positive(v * (1.0 - static_cast<double>(fs)));
    const int q = round_positive(v * (1.0 - static_cast<double>(fs_f)));
    const int t =
        round_positive(v * (1.0 - static_cast<double>(fs) * (1.0 - static_cast<double>(f))));
    // Which of them goes where, by masks: a chain of conditions would not vectorise.
    //   sector  0  1  2  3  4  5
    //   red     v  q  p  p  t  v
    //   green   t  v  v  q  p  p
    //   blue    p  p  t  v  v  q
    const int in0 = -(sector == 0), in1 = -(sector == 1), in2 = -(sector == 2);
    const int in3 = -(sector == 3), in4 = -(sector == 4), in5 = -(sector == 5);
    const int r = (v & (in0 | in5)) | (q & in1) | (p & (in2 | in3)) | (t & in4);
    const int g = (v & (in1 | in2)) | (q & in3) | (p & (in4 | in5)) | (t & in0);
    const int b = (v & (in3 | in4)) | (q & in5) | (p & (in0 | in1)) | (t & in2);
    red[i] = static_cast<std::uint8_t>(r);
    green[i] = static_cast<std::uint8_t>(g);
    blue[i] = static_cast<std::uint8_t>(b);
  }
}

}  // namespace

void adjust_hue(Planes& planes, double factor) {
  CHECK(factor >= -0.5 && factor <= 0.5, "[hue] the factor lies in [-0.5, 0.5], got ", factor);
  const HueTable table(static_cast<int>(factor * 255));
  const std::size_t n = planes.area();
  for (std::size_t i = 0; i < n; i += kTile) {
    const int count = static_cast<int>(std::min<std::size_t>(kTile, n - i));
    shift_tile(planes.plane(0) + i, planes.plane(1) + i, planes.plane(2) + i, count, table);
  }
}

}  // namespace invp
