// Gaussian blur as in Pillow: three box blurs per direction, with a fractional radius.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "data/images/planes.h"
#include "engine/core/error.h"
#include "engine/ops/image/pixel_arithmetic.h"

namespace invp {
namespace {

using pixel::BoxBlur;

constexpr int kStrip = 64;  // columns

/// One pass over n bytes whose neighbors lie `step` bytes apart, for a radius known to the
/// compiler.
template <int kRadius>
void blur_small(const BoxBlur& box, const std::uint8_t* in, std::ptrdiff_t step, int n,
                std::uint8_t* __restrict out) {
  for (int i = 0; i < n; ++i) {
    const std::uint8_t* p = in + i;
    std::uint32_t near = p[0];
    for (int k = 1; k <= kRadius; ++k) near += p[-k * step] + p[k * step];
    const std::uint32_t far = p[-(kRadius + 1) * step] + p[(kRadius + 1) * step];
    out[i] = box.mix(near, far);
  }
}

/// The same for any radius, in blocks whose sums stay in registers or the first cache.
void blur_large(const BoxBlur& box, const std::uint8_t* in, std::ptrdiff_t step, int n,
                std::uint8_t* __restrict out) {
  constexpr int kBlock = 64;
  std::uint32_t near[kBlock];
  for (int i = 0; i < n; i += kBlock) {
    const int count = std::min(kBlock, n - i);
    const std::uint8_t* p = in + i;
    for (int j = 0; j < count; ++j) near[j] = p[j];
    for (int k = 1; k <= box.radius; ++k) {
      const std::uint8_t *before = p - k * step, *after = p + k * step;
      for (int j = 0; j < count; ++j) near[j] += before[j] + after[j];
    }
    const std::ptrdiff_t edge = (box.radius + 1) * step;
    for (int j = 0; j < count; ++j) {
      const std::uint32_t far = p[j - edge] + p[j + edge];
      out[i + j] = box.mix(near[j], far);
    }
  }
}

void blur_pass(const BoxBlur& box, const std::uint8_t* in, std::ptrdiff_t step, int n,
               std::uint8_t* out) {
  // Radius 0 up to sigma 1.4, radius 1 up to 2.4: these cover what pretraining draws.
  if (box.radius == 0) return blur_small<0>(box, in, step, n, out);
  if (box.radius == 1) return blur_small<1>(box, in, step, n, out);
  blur_large(box, in, step, n, out);
}

/// Blurs a row three times, in two buffers that repeat its ends on either side.
void blur_rows(std::uint8_t* plane, int width, int height, const BoxBlur& box,
               std::vector<std::uint8_t>& scratch) {
  const int margin = box.radius + 1;
  const std::size_t length = static_cast<std::size_t>(width + 2 * margin) + kPadding;
  if (scratch.size() < 2 * length) scratch.resize(2 * length);
  std::uint8_t* line = scratch.data() + margin;
  std::uint8_t* next = scratch.data() + length + margin;
  for (int y = 0; y < height; ++y, plane += width) {
    std::memcpy(line, plane, static_cast<std::size_t>(width));
    for (int pass = 0; pass < BoxBlur::kPasses; ++pass) {
      std::memset(line - margin, line[0], static_cast<std::size_t>(margin));
      std::memset(line + width, line[width - 1], static_cast<std::size_t>(margin));
      blur_pass(box, line, 1, width, next);
      std::swap(line, next);
    }
    std::memcpy(plane, line, static_cast<std::size_t>(width));
  }
}

/// Blurs strips of columns three times in scratch rows; a strip fits the first cache. The next
/// pixel of a column lies kStrip bytes further, so a strip is blurred as one long line.
void blur_columns(std::uint8_t* plane, int width, int height, const BoxBlur& box,
                  std::vector<std::uint8_t>& scratch) {
  const int margin = box.radius + 1;
  const std::size_t rows = static_cast<std::size_t>(height + 2 * margin);
  if (scratch.size() < 2 * rows * kStrip) scratch.resize(2 * rows * kStrip);
  std::uint8_t* strip = scratch.data() + margin * kStrip;
  std::uint8_t* next = strip + rows * kStrip;
  for (int x = 0; x < width; x += kStrip) {
    const std::size_t columns = static_cast<std::size_t>(std::min(kStrip, width - x));
    for (int y = 0; y < height; ++y) {
      std::memcpy(strip + y * kStrip, plane + static_cast<std::ptrdiff_t>(y) * width + x, columns);
    }
    for (int pass = 0; pass < BoxBlur::kPasses; ++pass) {
      for (int k = 1; k <= margin; ++k) {
        std::memcpy(strip - k * kStrip, strip, kStrip);
        std::memcpy(strip + (height - 1 + k) * kStrip, strip + (height - 1) * kStrip, kStrip);
      }
      blur_pass(box, strip, kStrip, height * kStrip, next);
      std::swap(strip, next);
    }
    for (int y = 0; y < height; ++y) {
      std::memcpy(plane + static_cast<std::ptrdiff_t>(y) * width + x, strip + y * kStrip, columns);
    }
  }
}

}  // namespace

void gaussian_blur(Planes& planes, double sigma, std::vector<std::uint8_t>& scratch) {
  CHECK(std::isfinite(sigma) && sigma >= 0 && sigma <= 1000, "[blur] sigma lies in [0, 1000], got ",
        sigma);
  const BoxBlur box = pixel::box_blur(static_cast<float>(sigma));
  if (box.identity() || planes.area() == 0) return;
  for (int c = 0; c < 3; ++c) {
    blur_rows(planes.plane(c), planes.width, planes.height, box, scratch);
    blur_columns(planes.plane(c), planes.width, planes.height, box, scratch);
  }
}

}  // namespace invp
