// How Winograd's convolutions cut images into tiles.
#pragma once

#include <array>
#include <cstdint>

#include "engine/ops/conv/conv2d_panels_cpu.h"
#include "engine/ops/conv/conv2d_winograd_transforms_cpu.h"

namespace invp::cpu::winograd {

/// Images seen through square windows, one every kOut pixels. Pixels outside the images are zero.
struct TiledImages {
  std::int64_t H, W, C;
  std::int64_t rows, columns;  ///< tiles per image
  std::int64_t margin;         ///< the first window starts this many pixels before the image

  std::int64_t tiles_of(std::int64_t images) const { return images * rows * columns; }
};

/// The pixels of one window: pointers to their channels.
template <int Size>
using Window = std::array<std::int64_t, Size * Size>;

/// Calls visit(tile, image offset of the window's pixels); -1 stands for a pixel outside.
template <int Size, class Visit>
void for_each_window(const TiledImages& s, std::int64_t begin, std::int64_t end,
                     const Visit& visit) {
  Window<Size> pixels;
  for (std::int64_t tile = begin; tile < end; ++tile) {
    const std::int64_t column = tile % s.columns;
    const std::int64_t row = tile / s.columns % s.rows;
    const std::int64_t image = tile / s.columns / s.rows;
    for (int i = 0; i < Size; ++i) {
      const std::int64_t h = row * kOut - s.margin + i;
      for (int j = 0; j < Size; ++j) {
        const std::int64_t w = column * kOut - s.margin + j;
        const bool inside = h >= 0 && h < s.H && w >= 0 && w < s.W;
        pixels[static_cast<std::size_t>(i * Size + j)] =
            inside ? ((image * s.H + h) * s.W + w) * s.C : -1;
      }
    }
    visit(tile, pixels);
  }
}

/// Fills rows [begin - first, end - first) of the panels with transformed tiles [begin, end).
/// `zeros` holds C zeros.
template <class Transform>
void transform_tiles(const TiledImages& s, const float* images, const float* zeros,
                     std::int64_t begin, std::int64_t end, std::int64_t first, const Panels& to) {
  constexpr int kSize = Transform::kFrom;
  const std::int64_t width = to.width();
  const std::int64_t stride = to.stride();
  for_each_window<kSize>(s, begin, end, [&](std::int64_t tile, const Window<kSize>& pixels) {
    std::array<const float*, kSize * kSize> at;
    for (std::size_t i = 0; i < at.size(); ++i) at[i] = pixels[i] < 0 ? zeros : images + pixels[i];
    for (std::int64_t c = 0; c < s.C; c += kVec) {
      float* const target = to.panel(0, c / width) + (tile - first) * width + c % width;
      transform_both_ways<Transform>(
          [&](int i, int j) { return load(at[static_cast<std::size_t>(i * kSize + j)] + c); },
          [&](int i, int j, Vec value) { store(target + (i * kWindow + j) * stride, value); });
    }
  });
}

}  // namespace invp::cpu::winograd
