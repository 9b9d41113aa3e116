// How augment_images makes one picture, written once for one thread of the CPU and for a block of
// threads of a GPU. A Team shares the items of each loop among its threads and synchronises them.
//
//   team.each(rows, columns, f)   f(row, column) once for every pair, by any thread
//   team.total(rows, columns, f)  the sum of f(row, column), for every thread
//   team.meet()                   a barrier: reads after it see all writes before it
#pragma once

#include <algorithm>
#include <cstddef>

#include "engine/ops/image/augment_images.h"
#include "engine/ops/image/pixel_arithmetic.h"

#ifdef __CUDACC__
#define TEAM_FUNCTION __device__ inline
#else
#define TEAM_FUNCTION inline
#endif

namespace invp {

/// A record as the kernels read it: checked, and in the numbers they compute with.
struct AugmentTask {
  struct Color {
    ColorOp op;
    float alpha;
    std::int32_t shift;  ///< of the hue
  };

  std::int64_t begin, row_bytes;
  std::int32_t width, height, resized_width, resized_height, left, top;
  std::int32_t first_row, rows;  ///< of the crop: those that the kept rows weigh
  std::int32_t taps_x, taps_y;   ///< most inputs an output weighs; 0: the axis keeps its size
  std::int32_t color_steps;
  Color color[5];
  pixel::BoxBlur blur;
  std::int32_t flip;
};

/// Tables of a picture, in fast memory.
struct AugmentTables {
  pixel::HueSector hue[256];
  float levels[3][256];  ///< normalised values
};

/// Room for one picture beside its S x S result, in bytes from its beginning: the resize's weights,
/// then either the rows between its two passes or the other buffer of the blur.
struct AugmentScratch {
  std::size_t y_weights, rows, bytes;

  HOST_DEVICE AugmentScratch(const AugmentTask& task, int size) {
    const auto s = static_cast<std::size_t>(size);
    const auto table = [s](int taps) {
      return taps == 0 ? 0 : (static_cast<std::size_t>(taps) + 2) * s * 4;
    };
    const auto between = static_cast<std::size_t>(task.rows) * s * 3;
    const std::size_t blurred = task.blur.identity() ? 0 : s * s * 3;
    y_weights = table(task.taps_x);
    rows = y_weights + table(task.taps_y);
    bytes = (rows + (between > blurred ? between : blurred) + 15) / 16 * 16;
  }
};

/// One axis of a resize: for output i of `size`, the first input, their number, and their weights.
struct ResizeTable {
  std::int32_t* values;
  int size;

  TEAM_FUNCTION std::int32_t& first(int i) const { return values[i]; }
  TEAM_FUNCTION std::int32_t& count(int i) const { return values[size + i]; }
  TEAM_FUNCTION std::int32_t& weight(int k, int i) const { return values[(2 + k) * size + i]; }
};

/// Of outputs [from, from + size).
template <class Team>
TEAM_FUNCTION void fill_table(const Team& team, const pixel::ResizeAxis& axis, int from,
                              const ResizeTable& table) {
  team.each(1, table.size, [&](int, int i) {
    const int lo = axis.first_tap(from + i), hi = axis.end_tap(from + i);
    const double centre = axis.centre(from + i);
    double sum = 0;
    for (int k = lo; k < hi; ++k) sum += axis.weight(k, centre);
    table.first(i) = lo;
    table.count(i) = hi - lo;
    for (int k = lo; k < hi; ++k)
      table.weight(k - lo, i) = pixel::fixed_weight(axis.weight(k, centre), sum);
  });
}

/// The window of the resized crop: along rows into `rows`, then along columns into `picture`.
template <class Team>
TEAM_FUNCTION void resize_picture(const Team& team, const AugmentTask& task, int size,
                                  const std::uint8_t* pixels, std::byte* scratch,
                                  std::uint8_t* picture) {
  const AugmentScratch places(task, size);
  const ResizeTable across{reinterpret_cast<std::int32_t*>(scratch), size};
  const ResizeTable down{reinterpret_cast<std::int32_t*>(scratch + places.y_weights), size};
  auto* const rows = reinterpret_cast<std::uint8_t*>(scratch + places.rows);
  if (task.taps_x > 0)
    fill_table(team, pixel::ResizeAxis(task.width, task.resized_width), task.left, across);
  if (task.taps_y > 0)
    fill_table(team, pixel::ResizeAxis(task.height, task.resized_height), task.top, down);
  team.meet();

  const std::uint8_t* const source = pixels + task.begin + task.first_row * task.row_bytes;
  team.each(task.rows, size, [&](int y, int x) {
    std::uint8_t* const out = rows + (static_cast<std::int64_t>(y) * size + x) * 3;
    const int first = task.taps_x > 0 ? across.first(x) : task.left + x;
    const std::uint8_t* in = source + y * task.row_bytes + static_cast<std::int64_t>(first) * 3;
    if (task.taps_x == 0) {
      for (int c = 0; c < 3; ++c) out[c] = in[c];
      return;
    }
    std::int32_t r = pixel::kWeightHalf, g = r, b = r;
    for (int k = 0; k < across.count(x); ++k, in += 3) {
      const std::int32_t w = across.weight(k, x);
      r += w * in[0];
      g += w * in[1];
      b += w * in[2];
    }
    out[0] = static_cast<std::uint8_t>(r >> pixel::kWeightBits);
    out[1] = static_cast<std::uint8_t>(g >> pixel::kWeightBits);
    out[2] = static_cast<std::uint8_t>(b >> pixel::kWeightBits);
  });
  team.meet();

  const int row = 3 * size;
  team.each(size, row, [&](int y, int i) {
    if (task.taps_y == 0) {
      picture[y * row + i] = rows[static_cast<std::int64_t>(y) * row + i];
      return;
    }
    const std::uint8_t* in =
        rows + static_cast<std::int64_t>(down.first(y) - task.first_row) * row + i;
    std::int32_t sum = pixel::kWeightHalf;
    for (int k = 0; k < down.count(y); ++k, in += row) sum += down.weight(k, y) * *in;
    picture[y * row + i] = static_cast<std::uint8_t>(sum >> pixel::kWeightBits);
  });
  team.meet();
}

/// change(red, green, blue), given as references, of every pixel.
template <class Team, class Change>
TEAM_FUNCTION void each_pixel(const Team& team, int size, std::uint8_t* picture,
                              const Change& change) {
  team.each(size, size, [&](int y, int x) {
    std::uint8_t* const p = picture + (y * size + x) * 3;
    change(p[0], p[1], p[2]);
  });
  team.meet();
}

template <class Team>
TEAM_FUNCTION void blend_picture(const Team& team, int size, std::uint8_t* picture,
                                 float degenerate, float alpha) {
  each_pixel(team, size, picture, [&](std::uint8_t& r, std::uint8_t& g, std::uint8_t& b) {
    r = pixel::blend(degenerate, r, alpha);
    g = pixel::blend(degenerate, g, alpha);
    b = pixel::blend(degenerate, b, alpha);
  });
}

template <class Team>
TEAM_FUNCTION float picture_contrast_level(const Team& team, int size,
                                           const std::uint8_t* picture) {
  const std::int64_t sum = team.total(size, size, [&](int y, int x) {
    const std::uint8_t* const p = picture + (y * size + x) * 3;
    return pixel::luma(p[0], p[1], p[2]);
  });
  return pixel::contrast_level(sum, static_cast<std::int64_t>(size) * size);
}

template <class Team>
TEAM_FUNCTION void turn_hue(const Team& team, int size, std::uint8_t* picture, int shift,
                            AugmentTables& tables) {
  team.each(1, 256, [&](int, int hue) { tables.hue[hue] = pixel::sector_of((hue + shift) & 255); });
  team.meet();
  each_pixel(team, size, picture, [&](std::uint8_t& r, std::uint8_t& g, std::uint8_t& b) {
    const int mx = r > g ? (r > b ? r : b) : (g > b ? g : b);
    const int mn = r < g ? (r < b ? r : b) : (g < b ? g : b);
    const pixel::HueSector turned = tables.hue[pixel::hue_of(r, g, b, mx, mn)];
    const pixel::Rgb rgb =
        pixel::from_hsv(turned.sector, turned.fraction, pixel::saturation_of(mx, mn), mx);
    r = static_cast<std::uint8_t>(rgb.r);
    g = static_cast<std::uint8_t>(rgb.g);
    b = static_cast<std::uint8_t>(rgb.b);
  });
}

template <class Team>
TEAM_FUNCTION void change_color(const Team& team, int size, std::uint8_t* picture,
                                const AugmentTask::Color& step, AugmentTables& tables) {
  switch (step.op) {
    case ColorOp::kBrightness: return blend_picture(team, size, picture, 0.0f, step.alpha);
    case ColorOp::kContrast:
      return blend_picture(team, size, picture, picture_contrast_level(team, size, picture),
                           step.alpha);
    case ColorOp::kSaturation:
      return each_pixel(team, size, picture,
                        [&](std::uint8_t& r, std::uint8_t& g, std::uint8_t& b) {
                          const auto gray = static_cast<float>(pixel::luma(r, g, b));
                          r = pixel::blend(gray, r, step.alpha);
                          g = pixel::blend(gray, g, step.alpha);
                          b = pixel::blend(gray, b, step.alpha);
                        });
    case ColorOp::kHue: return turn_hue(team, size, picture, step.shift, tables);
    case ColorOp::kGrayscale:
      return each_pixel(team, size, picture, [](std::uint8_t& r, std::uint8_t& g, std::uint8_t& b) {
        r = g = b = static_cast<std::uint8_t>(pixel::luma(r, g, b));
      });
  }
}

/// One box blur from `in` to `out`, along rows or columns; edges repeat.
template <class Team>
TEAM_FUNCTION void blur_pass(const Team& team, const pixel::BoxBlur& box, int size, bool along_rows,
                             const std::uint8_t* in, std::uint8_t* out) {
  const int row = 3 * size;
  const int step = along_rows ? 3 : row;  // bytes to the next pixel of the line
  team.each(size, row, [&](int y, int i) {
    const int at = along_rows ? i / 3 : y;
    const std::uint8_t* const line = in + y * row + i - at * step;
    const auto value = [&](int k) -> std::uint32_t {
      const int clamped = k < 0 ? 0 : k < size ? k : size - 1;
      return line[clamped * step];
    };
    std::uint32_t near = value(at);
    for (int k = 1; k <= box.radius; ++k) near += value(at - k) + value(at + k);
    const std::uint32_t far = value(at - box.radius - 1) + value(at + box.radius + 1);
    out[y * row + i] = box.mix(near, far);
  });
  team.meet();
}

template <class Team>
TEAM_FUNCTION void blur_picture(const Team& team, const pixel::BoxBlur& box, int size,
                                std::uint8_t* picture, std::uint8_t* spare) {
  static_assert(pixel::BoxBlur::kPasses % 2 == 1,
                "so many along rows and so many along columns: "
                "the last one ends in the picture");
  std::uint8_t *in = picture, *out = spare;
  for (int pass = 0; pass < 2 * pixel::BoxBlur::kPasses; ++pass) {
    blur_pass(team, box, size, pass < pixel::BoxBlur::kPasses, in, out);
    std::uint8_t* const other = in;
    in = out;
    out = other;
  }
}

template <class Team>
TEAM_FUNCTION void fill_levels(const Team& team, const AugmentOutput& output,
                               AugmentTables& tables) {
  team.each(3, 256, [&](int c, int value) {
    const auto channel = static_cast<std::size_t>(c);
    tables.levels[c][value] = pixel::normalized(value, output.mean[channel], output.std[channel]);
  });
}

/// A pixel of the output.
template <class T, int kChannels>
struct alignas(kChannels == 8 ? 16 : sizeof(T)) OutputPixel {
  T channel[kChannels];
};

template <class T, int kChannels, class Team>
TEAM_FUNCTION void store_picture(const Team& team, int size, bool flip, const std::uint8_t* picture,
                                 const AugmentTables& tables, OutputPixel<T, kChannels>* y) {
  team.each(size, size, [&](int row, int x) {
    const std::uint8_t* const p = picture + (row * size + x) * 3;
    OutputPixel<T, kChannels> out;
    for (int c = 0; c < 3; ++c) out.channel[c] = T(tables.levels[c][p[c]]);
    for (int c = 3; c < kChannels; ++c) out.channel[c] = T(0.0f);
    y[row * size + (flip ? size - 1 - x : x)] = out;
  });
}

/// Everything. `picture` has 3 S^2 bytes, `scratch` as many as AugmentScratch says.
template <class T, int kChannels, class Team>
TEAM_FUNCTION void augment_picture(const Team& team, const AugmentTask& task,
                                   const AugmentOutput& output, const std::uint8_t* pixels,
                                   std::byte* scratch, std::uint8_t* picture, AugmentTables& tables,
                                   OutputPixel<T, kChannels>* y) {
  const int size = output.size;
  fill_levels(team, output, tables);
  resize_picture(team, task, size, pixels, scratch, picture);
  for (int i = 0; i < task.color_steps; ++i)
    change_color(team, size, picture, task.color[i], tables);
  if (!task.blur.identity()) {
    auto* const spare = reinterpret_cast<std::uint8_t*>(scratch + AugmentScratch(task, size).rows);
    blur_picture(team, task.blur, size, picture, spare);
  }
  store_picture<T, kChannels>(team, size, task.flip != 0, picture, tables, y);
}

}  // namespace invp
