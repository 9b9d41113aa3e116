// Pixels of NHWC images, gathered into panels.
#pragma once

#include <cstdint>
#include <span>

#include "engine/core/vec_cpu.h"
#include "engine/ops/conv/conv2d_panels_cpu.h"

namespace invp::cpu {

/// Images of C channels.
struct Images {
  std::int64_t H, W, C;
};

/// Where one tap of the filters looks from the first output, in pixels.
struct Tap {
  std::int64_t h, w;
  std::int64_t index;  ///< r * S + s
};

/// `rows` x `columns` places per image; (row, column) is the pixel (row, column) * step.
struct Places {
  std::int64_t rows, columns, step;

  std::int64_t of(std::int64_t images) const { return images * rows * columns; }
};

/// Calls visit(place, image, row, column) for a range of places.
template <class Visit>
void for_each_place(const Places& p, std::int64_t begin, std::int64_t end, const Visit& visit) {
  std::int64_t column = begin % p.columns;
  std::int64_t row = begin / p.columns % p.rows;
  std::int64_t image = begin / p.columns / p.rows;
  for (std::int64_t place = begin; place < end; ++place) {
    visit(place, image, row, column);
    if (++column < p.columns) continue;
    column = 0;
    if (++row < p.rows) continue;
    row = 0;
    ++image;
  }
}

/// Rows [begin - first, end - first) of the panels become the pixels that each tap reads from
/// places [begin, end); zero outside the images.
inline void gather(const Images& s, const float* images, const Places& places,
                   std::span<const Tap> taps, std::int64_t begin, std::int64_t end,
                   std::int64_t first, const Panels& to) {
  const std::int64_t width = to.width();
  const std::int64_t block = to.rows() * width;
  for_each_place(places, begin, end,
                 [&](std::int64_t place, std::int64_t n, std::int64_t row, std::int64_t column) {
                   for (std::size_t t = 0; t < taps.size(); ++t) {
                     const std::int64_t h = row * places.step + taps[t].h;
                     const std::int64_t w = column * places.step + taps[t].w;
                     float* target =
                         to.panel(static_cast<std::int64_t>(t), 0) + (place - first) * width;
                     const bool inside = h >= 0 && h < s.H && w >= 0 && w < s.W;
                     const float* from = images + (inside ? ((n * s.H + h) * s.W + w) * s.C : 0);
                     for (std::int64_t c = 0; c < s.C; c += width, target += block) {
                       for (std::int64_t j = 0; j < width; j += kVec)
                         store(target + j, inside ? load(from + c + j) : Vec{});
                     }
                   }
                 });
}

}  // namespace invp::cpu
