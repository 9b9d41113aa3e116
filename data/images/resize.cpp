#include <algorithm>
#include <cstring>

#include "data/images/planes.h"
#include "data/images/resize_rows.h"
#include "data/images/transform.h"
#include "engine/core/error.h"
#include "engine/ops/image/pixel_arithmetic.h"

namespace invp {
namespace {

using pixel::kWeightBits;
using pixel::kWeightHalf;

/// Weights of outputs [from, from + count) of an axis of n_in samples that becomes n_out.
/// No result needs clipping: weights are positive and sum to 2^22 within half a unit each.
void make_axis(int n_in, int n_out, int from, int count, ResizeScratch::Axis& axis) {
  const pixel::ResizeAxis resize(n_in, n_out);
  axis.taps = 0;
  axis.first.resize(static_cast<std::size_t>(count));
  const int most = resize.most_taps();
  axis.weights.assign(static_cast<std::size_t>(count) * static_cast<std::size_t>(most), 0);
  std::vector<double> weights(static_cast<std::size_t>(most));
  for (int x = 0; x < count; ++x) {
    const double centre = resize.centre(from + x);
    const int lo = resize.first_tap(from + x);
    const int hi = resize.end_tap(from + x);
    double sum = 0;
    for (int k = lo; k < hi; ++k) {
      weights[static_cast<std::size_t>(k - lo)] = resize.weight(k, centre);
      sum += weights[static_cast<std::size_t>(k - lo)];
    }
    std::int32_t* target = axis.weights.data() + x * most;
    for (int k = 0; k < hi - lo; ++k)
      target[k] = pixel::fixed_weight(weights[static_cast<std::size_t>(k)], sum);
    axis.first[static_cast<std::size_t>(x)] = lo;
    axis.taps = std::max(axis.taps, hi - lo);
  }
  // Without the gaps of unused taps.
  for (int x = 0; x < count; ++x) {
    std::copy_n(axis.weights.data() + x * most, axis.taps, axis.weights.data() + x * axis.taps);
  }
}

void plain_row(const std::uint8_t* in, int in_width, int out_width, const ResizeScratch::Axis& axis,
               std::uint8_t* out) {
  const std::int32_t* weights = axis.weights.data();
  for (int x = 0; x < out_width; ++x, weights += axis.taps, out += 3) {
    const int first = axis.first[static_cast<std::size_t>(x)];
    const int taps = std::min(axis.taps, in_width - first);
    const std::uint8_t* pixel = in + 3 * first;
    std::int32_t r = kWeightHalf, g = kWeightHalf, b = kWeightHalf;
    for (int k = 0; k < taps; ++k, pixel += 3) {
      r += weights[k] * pixel[0];
      g += weights[k] * pixel[1];
      b += weights[k] * pixel[2];
    }
    out[0] = static_cast<std::uint8_t>(r >> kWeightBits);
    out[1] = static_cast<std::uint8_t>(g >> kWeightBits);
    out[2] = static_cast<std::uint8_t>(b >> kWeightBits);
  }
}

/// One output row from `taps` rows that lie `stride` apart.
void mix_rows(const std::uint8_t* in, std::size_t stride, const std::int32_t* weights, int taps,
              int bytes, std::uint8_t* __restrict out) {
  constexpr int kBlock = 128;  // sums, which fit the first cache
  std::int32_t sums[kBlock];
  for (int i = 0; i < bytes; i += kBlock) {
    const int count = std::min(kBlock, bytes - i);
    const std::uint8_t* p = in + i;
    for (int j = 0; j < count; ++j) sums[j] = kWeightHalf + weights[0] * p[j];
    for (int k = 1; k < taps; ++k) {
      p += stride;
      for (int j = 0; j < count; ++j) sums[j] += weights[k] * p[j];
    }
    for (int j = 0; j < count; ++j) out[i + j] = static_cast<std::uint8_t>(sums[j] >> kWeightBits);
  }
}

}  // namespace

void resize_window(ImageView image, int width, int height, const Box& window, Planes& out,
                   ResizeScratch& scratch) {
  CHECK(image.width > 0 && image.height > 0, "[resize] empty picture");
  CHECK(width > 0 && height > 0, "[resize] sides are positive, got ", width, " x ", height);
  CHECK(window.x >= 0 && window.y >= 0 && window.width > 0 && window.height > 0 &&
            window.width <= width - window.x && window.height <= height - window.y,
        "[resize] the window does not lie inside ", width, " x ", height);
  out.reshape(window.width, window.height);
  const int bytes = 3 * window.width;

  // The input rows that the window's rows reach.
  ResizeScratch::Axis& vertical = scratch.vertical;
  int top = window.y, bottom = window.y + window.height;
  const bool resizes_columns = height != image.height;
  if (resizes_columns) {
    make_axis(image.height, height, window.y, window.height, vertical);
    top = vertical.first.front();
    bottom = std::min(image.height, vertical.first.back() + vertical.taps);
  }

  // Horizontal pass, into scratch.rows; if the width stays, a narrower view is enough.
  ImageView rows = image.part({0, top, image.width, bottom - top});
  if (width != image.width) {
    make_axis(image.width, width, window.x, window.width, scratch.horizontal);
    const std::size_t stride = static_cast<std::size_t>(bytes);
    const std::size_t size = stride * static_cast<std::size_t>(bottom - top) + kPadding;
    if (scratch.rows.size() < size) scratch.rows.resize(size);
    const bool fast = prepare_fast_rows(image.width, window.width, scratch);
    for (int y = 0; y < bottom - top; ++y) {
      std::uint8_t* target = scratch.rows.data() + static_cast<std::size_t>(y) * stride;
      if (fast) {
        fast_row(rows.row(y), image.width, window.width, scratch, target);
      } else {
        plain_row(rows.row(y), image.width, window.width, scratch.horizontal, target);
      }
    }
    rows = ImageView(scratch.rows.data(), window.width, bottom - top, stride);
  } else {
    rows = rows.part({window.x, 0, window.width, rows.height});
  }

  // Vertical pass, row by row, split into planes.
  scratch.row.resize(static_cast<std::size_t>(bytes) + kPadding);
  for (int y = 0; y < window.height; ++y) {
    const std::uint8_t* row = rows.row(y);
    if (resizes_columns) {
      const int first = vertical.first[static_cast<std::size_t>(y)];
      mix_rows(rows.row(first - top), rows.stride, vertical.weights.data() + y * vertical.taps,
               std::min(vertical.taps, bottom - first), bytes, scratch.row.data());
      row = scratch.row.data();
    }
    const std::size_t at = static_cast<std::size_t>(y) * static_cast<std::size_t>(window.width);
    split_row(row, window.width, out.plane(0) + at, out.plane(1) + at, out.plane(2) + at);
  }
}

Image resize(ImageView image, int width, int height) {
  Planes planes;
  ResizeScratch scratch;
  resize_window(image, width, height, {0, 0, width, height}, planes, scratch);
  Image out;
  to_image(planes, out);
  return out;
}

}  // namespace invp
