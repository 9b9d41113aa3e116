// The arithmetic of the image augmentations, one pixel or one weight at a time: written once for
// the CPU's steps (data/) and the GPU's kernel (augment_images.h). It is Pillow's and torchvision's
// to the bit, so every file that includes this is compiled without fused multiply-adds.
// data/images/transform.h says what each operation does.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "engine/core/host_device.h"

namespace invp::pixel {

// --- resize: weights of one output, with 22 fractional bits

inline constexpr int kWeightBits = 22;
inline constexpr std::int32_t kWeightHalf = 1 << (kWeightBits - 1);

/// An axis of `in` samples that becomes `out`.
struct ResizeAxis {
  int in;
  double scale, support;

  HOST_DEVICE ResizeAxis(int n_in, int n_out)
      : in(n_in), scale(static_cast<double>(n_in) / n_out), support(scale > 1.0 ? scale : 1.0) {}

  /// Most inputs that any output weighs.
  HOST_DEVICE int most_taps() const { return static_cast<int>(ceil(support)) * 2 + 1; }
  HOST_DEVICE double centre(int x) const { return (x + 0.5) * scale; }
  /// Output x weighs the inputs [first_tap, end_tap).
  HOST_DEVICE int first_tap(int x) const {
    const int lo = static_cast<int>(centre(x) - support + 0.5);
    return lo > 0 ? lo : 0;
  }
  HOST_DEVICE int end_tap(int x) const {
    const int hi = static_cast<int>(centre(x) + support + 0.5);
    return hi < in ? hi : in;
  }
  /// Before it is divided by the sum over the output's inputs.
  HOST_DEVICE double weight(int k, double centre_of_x) const {
    const double w = 1.0 - fabs((k - centre_of_x + 0.5) * (1.0 / support));
    return w > 0.0 ? w : 0.0;
  }
};

HOST_DEVICE inline std::int32_t fixed_weight(double weight, double sum) {
  return static_cast<std::int32_t>(0.5 + weight / sum * (1 << kWeightBits));
}

// --- color

HOST_DEVICE inline int luma(int r, int g, int b) {
  return (19595 * r + 38470 * g + 7471 * b + 32768) >> 16;
}

/// To truncate a clipped value is to clip the truncated one, and factors in [0, 1] stay within the
/// two inputs: one formula is right for every factor.
HOST_DEVICE inline std::uint8_t blend(float degenerate, float value, float alpha) {
  const float t = degenerate + alpha * (value - degenerate);
  const float low = t < 0.0f ? 0.0f : t;
  return static_cast<std::uint8_t>(static_cast<int>(low > 255.0f ? 255.0f : low));
}

/// What contrast blends with: the mean luma of all pixels, rounded.
HOST_DEVICE inline float contrast_level(std::int64_t sum, std::int64_t pixels) {
  const double mean = static_cast<double>(sum) / static_cast<double>(pixels);
  return static_cast<float>(static_cast<int>(mean + 0.5));
}

// --- hue: RGB -> HSV -> RGB. Variables are f32, and where Pillow's literals are f64 an expression
// is evaluated in f64 and rounded to f32 when stored. Without branches, so that loops vectorise.

HOST_DEVICE inline int hue_of(int r, int g, int b, int mx, int mn) {
  // Gray has hue 0: dividing zeros by 1 gives trunc(fmod(1, 1) * 255) = 0.
  const auto range = static_cast<float>(mx - mn > 1 ? mx - mn : 1);
  const float rc = static_cast<float>(mx - r) / range;
  const float gc = static_cast<float>(mx - g) / range;
  const float bc = static_cast<float>(mx - b) / range;
  const float if_red = bc - gc;
  const auto if_green = static_cast<float>(2.0 + static_cast<double>(rc) - static_cast<double>(bc));
  const auto if_blue = static_cast<float>(4.0 + static_cast<double>(gc) - static_cast<double>(rc));
  const float h = r == mx ? if_red : g == mx ? if_green : if_blue;
  const double turns = static_cast<double>(h) / 6.0 + 1.0;  // in [5/6, 2): the integer is fmod's
  const auto fraction = static_cast<float>(turns - static_cast<double>(static_cast<int>(turns)));
  return static_cast<int>(static_cast<double>(fraction) * 255.0);
}

HOST_DEVICE inline int saturation_of(int mx, int mn) {
  const float s = static_cast<float>(mx - mn) / static_cast<float>(mx > 1 ? mx : 1);
  return static_cast<int>(static_cast<double>(s) * 255.0);
}

/// What HSV -> RGB takes from a hue: its sixth of the circle and the place within it.
struct HueSector {
  std::int32_t sector;
  float fraction;
};
HOST_DEVICE inline HueSector sector_of(int hue) {
  const double turned = hue * 6.0 / 255.0;
  const double whole = floor(turned);
  return {static_cast<std::int32_t>(whole) % 6, static_cast<float>(turned - whole)};
}

/// How far a factor turns the hue.
HOST_DEVICE inline int hue_shift(double factor) {
  return static_cast<int>(factor * 255);
}

/// Half away from zero; no value here lies within an ulp of a half without being it.
HOST_DEVICE inline int round_positive(double value) {
  return static_cast<int>(value + 0.5);
}

struct Rgb {
  int r, g, b;
};

HOST_DEVICE inline Rgb from_hsv(int sector, float fraction, int saturation, int v) {
  const float fs = static_cast<float>(saturation) / 255.0f;
  // With saturation 0 the three are v.
  const float fs_f = fs * fraction;
  const int p = round_positive(v * (1.0 - static_cast<double>(fs)));
  const int q = round_positive(v * (1.0 - static_cast<double>(fs_f)));
  const int t =
      round_positive(v * (1.0 - static_cast<double>(fs) * (1.0 - static_cast<double>(fraction))));
  // Which of them goes where, by masks: a chain of conditions would not vectorise.
  //   sector  0  1  2  3  4  5
  //   red     v  q  p  p  t  v
  //   green   t  v  v  q  p  p
  //   blue    p  p  t  v  v  q
  const int in0 = -(sector == 0), in1 = -(sector == 1), in2 = -(sector == 2);
  const int in3 = -(sector == 3), in4 = -(sector == 4), in5 = -(sector == 5);
  return {(v & (in0 | in5)) | (q & in1) | (p & (in2 | in3)) | (t & in4),
          (v & (in1 | in2)) | (q & in3) | (p & (in4 | in5)) | (t & in0),
          (v & (in3 | in4)) | (q & in5) | (p & (in0 | in1)) | (t & in2)};
}

// --- blur: box blurs of a radius with a fraction

/// out = (inner * near + outer * far + 2^23) >> 24, where near sums the 2 * radius + 1 nearest and
/// far the two beyond.
struct BoxBlur {
  static constexpr int kPasses = 3;  // in each direction

  std::int32_t radius = 0;
  std::uint32_t inner = 1u << 24, outer = 0;

  HOST_DEVICE bool identity() const { return radius == 0 && outer == 0; }
  HOST_DEVICE std::uint8_t mix(std::uint32_t near, std::uint32_t far) const {
    return static_cast<std::uint8_t>((near * inner + far * outer + (1u << 23)) >> 24);
  }
};

/// The box whose kPasses-fold repetition has standard deviation sigma; all in f32.
inline BoxBlur box_blur(float sigma) {
  const float s2 = sigma * sigma / BoxBlur::kPasses;
  const float length = static_cast<float>(std::sqrt(12.0 * static_cast<double>(s2) + 1.0));
  const float l = static_cast<float>(std::floor((static_cast<double>(length) - 1.0) / 2.0));
  float a = (2 * l + 1) * (l * (l + 1) - 3 * s2);
  a /= 6 * (s2 - (l + 1) * (l + 1));
  const float rho = l + a;
  BoxBlur box;
  box.radius = static_cast<std::int32_t>(rho);
  box.inner = static_cast<std::uint32_t>(static_cast<float>(1 << 24) / (rho * 2 + 1));
  box.outer = ((1u << 24) - static_cast<std::uint32_t>(2 * box.radius + 1) * box.inner) / 2;
  return box;
}

// --- to the network's input

HOST_DEVICE inline float normalized(int value, float mean, float std) {
  return (static_cast<float>(value) / 255.0f - mean) / std;
}

}  // namespace invp::pixel
