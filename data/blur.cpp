// Gaussian blur as Pillow does it: three box blurs a direction, of a radius with a fraction.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "data/lanes.h"
#include "data/planes.h"
#include "engine/core/error.h"

namespace invp {
namespace {

using namespace lanes;

constexpr int kPasses = 3;

/// out = (inner * sum of the 2 * radius + 1 nearest + outer * the two beyond + 2^23) >> 24.
struct Box1d {
  int radius = 0;
  std::uint32_t inner = 0, outer = 0;

  bool identity() const { return radius == 0 && outer == 0; }
};

/// The box whose kPasses-fold repetition has standard deviation sigma; all in f32.
Box1d box_for(float sigma) {
  const float s2 = sigma * sigma / kPasses;
  const float length = static_cast<float>(std::sqrt(12.0 * static_cast<double>(s2) + 1.0));
  const float l = static_cast<float>(std::floor((static_cast<double>(length) - 1.0) / 2.0));
  float a = (2 * l + 1) * (l * (l + 1) - 3 * s2);
  a /= 6 * (s2 - (l + 1) * (l + 1));
  const float rho = l + a;
  Box1d box;
  box.radius = static_cast<int>(rho);
  box.inner = static_cast<std::uint32_t>(static_cast<float>(1 << 24) / (rho * 2 + 1));
  box.outer = ((1u << 24) - static_cast<std::uint32_t>(2 * box.radius + 1) * box.inner) / 2;
  return box;
}

/// Bytes i..i+15 of the output; line(k) points to the byte k places from i.
template <class Line>
void blur_lanes(const Box1d& box, Line line, std::uint8_t* out) {
  U8 bytes;
  const auto wide = [&](int k) {
    load(line(k), bytes);
    return __builtin_convertvector(bytes, U32);
  };
  U32 near = wide(0);
  for (int k = 1; k <= box.radius; ++k) near += wide(-k) + wide(k);
  const U32 far = wide(-box.radius - 1) + wide(box.radius + 1);
  const U32 sum = (near * box.inner + far * box.outer + (1u << 23)) >> 24;
  store(__builtin_convertvector(sum, U8), out);
}

/// A whole row is blurred three times in two lines that repeat its ends on either side.
void blur_rows(std::uint8_t* plane, int width, int height, const Box1d& box,
               std::vector<std::uint8_t>& scratch) {
  const int margin = box.radius + 1;
  const std::size_t length = static_cast<std::size_t>(width + 2 * margin) + kPadding;
  if (scratch.size() < 2 * length) scratch.resize(2 * length);
  std::uint8_t* line = scratch.data() + margin;
  std::uint8_t* next = scratch.data() + length + margin;
  for (int y = 0; y < height; ++y, plane += width) {
    std::memcpy(line, plane, static_cast<std::size_t>(width));
    for (int pass = 0; pass < kPasses; ++pass) {
      std::memset(line - margin, line[0], static_cast<std::size_t>(margin));
      std::memset(line + width, line[width - 1], static_cast<std::size_t>(margin));
      for (int x = 0; x < width; x += kLanes) {
        blur_lanes(
            box, [&](int k) { return line + x + k; }, next + x);
      }
      std::swap(line, next);
    }
    std::memcpy(plane, line, static_cast<std::size_t>(width));
  }
}

/// Strips of columns are blurred three times in scratch rows, so that a strip stays in the first
/// cache.
void blur_columns(std::uint8_t* plane, int width, int height, const Box1d& box,
                  std::vector<std::uint8_t>& scratch) {
  const int margin = box.radius + 1;
  const std::size_t rows = static_cast<std::size_t>(height + 2 * margin);
  if (scratch.size() < 2 * rows * kLanes) scratch.resize(2 * rows * kLanes);
  std::uint8_t* strip = scratch.data() + margin * kLanes;
  std::uint8_t* next = strip + rows * kLanes;
  for (int x = 0; x < width; x += kLanes) {
    const std::size_t columns = static_cast<std::size_t>(std::min(kLanes, width - x));
    for (int y = 0; y < height; ++y) {
      std::memcpy(strip + y * kLanes, plane + static_cast<std::ptrdiff_t>(y) * width + x, columns);
    }
    for (int pass = 0; pass < kPasses; ++pass) {
      for (int k = 1; k <= margin; ++k) {
        std::memcpy(strip - k * kLanes, strip, kLanes);
        std::memcpy(strip + (height - 1 + k) * kLanes, strip + (height - 1) * kLanes, kLanes);
      }
      for (int y = 0; y < height; ++y) {
        blur_lanes(
            box, [&](int k) { return strip + (y + k) * kLanes; }, next + y * kLanes);
      }
      std::swap(strip, next);
    }
    for (int y = 0; y < height; ++y) {
      std::memcpy(plane + static_cast<std::ptrdiff_t>(y) * width + x, strip + y * kLanes, columns);
    }
  }
}

}  // namespace

void gaussian_blur(Planes& planes, double sigma, std::vector<std::uint8_t>& scratch) {
  CHECK(std::isfinite(sigma) && sigma >= 0 && sigma <= 1000, "[blur] sigma lies in [0, 1000], got ",
        sigma);
  const Box1d box = box_for(static_cast<float>(sigma));
  if (box.identity() || planes.area() == 0) return;
  for (int c = 0; c < 3; ++c) {
    blur_rows(planes.plane(c), planes.width, planes.height, box, scratch);
    blur_columns(planes.plane(c), planes.width, planes.height, box, scratch);
  }
}

}  // namespace invp
