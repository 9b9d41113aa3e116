// Winograd's convolution, forward; and backward to the images, which is the same with the filters
// turned by half a turn and their two channel extents exchanged.
//
// Three steps: transform tiles of the images (V) and the filters (U), multiply them as 36 matrices
// M = V U, one per point, and transform M back. With few filters U is made whole first and V block
// by block, in cache, by the thread that multiplies it; with many it is the other way round.
#include "engine/ops/conv/conv2d_winograd_cpu.h"

#include "engine/core/parallel.h"
#include "engine/ops/conv/conv2d_winograd_tiles_cpu.h"

namespace invp::cpu {

namespace {

using namespace winograd;

/// A correlation of x (N,H,W,C) with K filters, read in either way.
struct Correlation {
  TiledImages images;   ///< x in windows of 6 x 6
  TiledImages outputs;  ///< y in windows of 4 x 4
  std::int64_t N;
  bool turned;  ///< the filters are w turned by half a turn, (C,3,3,K) in memory
  const float* x;
  const float* w;
  const float* bias;  ///< or nullptr
  float* y;
  Conv2dFusion fusion;

  std::int64_t C() const { return images.C; }
  std::int64_t K() const { return outputs.C; }
  std::int64_t tiles() const { return outputs.tiles_of(N); }
};

/// u: (36, C, width), the transformed filters [k, k + width).
void transform_filters(const Correlation& s, std::int64_t k, std::int64_t width, float* u) {
  const std::int64_t C = s.C();
  constexpr int kTaps = kFilter * kFilter;
  std::array<std::array<Vec, kVec>, kTaps> taps;  // [tap][channel], a vector of filters each
  for (std::int64_t first = 0; first < width; first += kVec) {
    for (std::int64_t c = 0; c < C; c += kVec) {
      for (int tap = 0; tap < kTaps; ++tap) {
        auto& rows = taps[static_cast<std::size_t>(tap)];
        for (int i = 0; i < kVec; ++i) {
          rows[static_cast<std::size_t>(i)] =
              s.turned ? load(s.w + ((c + i) * kTaps + kTaps - 1 - tap) * s.K() + k + first)
                       : load(s.w + ((k + first + i) * kTaps + tap) * C + c);
        }
        if (!s.turned) transpose(rows);
      }
      for (int i = 0; i < kVec; ++i) {
        float* const to = u + (c + i) * width + first;
        transform_both_ways<FilterTransform>(
            [&](int r, int t) {
              return taps[static_cast<std::size_t>(r * kFilter + t)][static_cast<std::size_t>(i)];
            },
            [&](int r, int t, Vec value) { store(to + (r * kWindow + t) * C * width, value); });
      }
    }
  }
}

/// m: (36, count, width) = rows [row, row + count) of V times u: (36, C, width).
void multiply(const Panels& v, std::int64_t row, std::int64_t count, const float* u,
              std::int64_t width, float* m) {
  const std::int64_t depth = v.width();
  for (std::int64_t point = 0; point < kPoints; ++point) {
    for (std::int64_t c = 0; c < v.channels(); c += depth) {
      multiply_panels(Left::kPlain, v.panel(point, c / depth) + row * depth, depth, count,
                      u + (point * v.channels() + c) * width, depth, m + point * count * width,
                      width, c > 0);
    }
  }
}

/// Transforms m: (36, count, width) back to tiles [tile, tile + count), channels [k, k + width) of
/// y.
void finish(const Correlation& s, const float* m, std::int64_t tile, std::int64_t count,
            std::int64_t k, std::int64_t width) {
  const Conv2dFusion fusion = s.fusion;
  for_each_window<kOut>(
      s.outputs, tile, tile + count, [&](std::int64_t t, const Window<kOut>& pixels) {
        for (std::int64_t j = 0; j < width; j += kVec) {
          const float* const from = m + (t - tile) * width + j;
          const Vec bias = s.bias != nullptr ? load(s.bias + k + j) : Vec{};
          transform_both_ways<OutputTransform>(
              [&](int r, int q) { return load(from + (r * kWindow + q) * count * width); },
              [&](int r, int q, Vec value) {
                const std::int64_t pixel = pixels[static_cast<std::size_t>(r * kOut + q)];
                if (pixel < 0) return;
                float* const to = s.y + pixel + k + j;
                value += bias;
                if (fusion.add) value += load(to);
                store(to, fusion.relu ? positive_part(value) : value);
              });
        }
      });
}

/// All filters are transformed first; each thread then takes blocks of tiles from image to image.
void run_by_tiles(const Correlation& s, const float* zeros) {
  const std::int64_t width = panel_width(s.K());
  const std::int64_t filter_size = kPoints * s.C() * width;  // of one panel of filters
  const Tensor u = workspace(kPoints * s.C() * s.K());
  parallel_for(0, s.K() / width, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      transform_filters(s, i * width, width, u.data<float>() + i * filter_size);
  });
  constexpr std::int64_t kBlock = 36;  // tiles at a time: V, M and U of 64 channels fit L2
  parallel_for(0, s.tiles(), kBlock, [&](std::int64_t begin, std::int64_t end) {
    Panels v(kPoints, kBlock, s.C());
    const Tensor m = workspace(kPoints * kBlock * width);
    for (std::int64_t tile = begin; tile < end; tile += kBlock) {
      const std::int64_t count = std::min(kBlock, end - tile);
      v.set_rows(count);
      transform_tiles<InputTransform>(s.images, s.x, zeros, tile, tile + count, tile, v);
      for (std::int64_t k = 0; k < s.K(); k += width) {
        multiply(v, 0, count, u.data<float>() + k / width * filter_size, width, m.data<float>());
        finish(s, m.data<float>(), tile, count, k, width);
      }
    }
  });
}

/// All tiles of a group of images are transformed first; each thread then takes panels of filters.
void run_by_filters(const Correlation& s, const float* zeros, std::int64_t first,
                    std::int64_t last) {
  const std::int64_t width = panel_width(s.K());
  const Panels v(kPoints, last - first, s.C());
  parallel_for(first, last, 1, [&](std::int64_t begin, std::int64_t end) {
    transform_tiles<InputTransform>(s.images, s.x, zeros, begin, end, first, v);
  });
  constexpr std::int64_t kBlock = 72;
  parallel_for(0, s.K() / width, 1, [&](std::int64_t begin, std::int64_t end) {
    const Tensor u = workspace(kPoints * s.C() * width);
    const Tensor m = workspace(kPoints * kBlock * width);
    for (std::int64_t i = begin; i < end; ++i) {
      transform_filters(s, i * width, width, u.data<float>());
      for (std::int64_t tile = first; tile < last; tile += kBlock) {
        const std::int64_t count = std::min(kBlock, last - tile);
        multiply(v, tile - first, count, u.data<float>(), width, m.data<float>());
        finish(s, m.data<float>(), tile, count, i * width, width);
      }
    }
  });
}

void run(const Correlation& s) {
  const Tensor zeros = workspace(s.C());
  zeros.zero();
  // U of 128 filters and fewer stays in cache while the tiles pass by.
  constexpr std::int64_t kFewFilters = 128;
  if (s.K() <= kFewFilters) return run_by_tiles(s, zeros.data<float>());
  constexpr std::int64_t kGroup = std::int64_t{8} << 20;  // floats of V at once
  const std::int64_t group = std::max(kGroup / kPoints / s.C(), std::int64_t{1});
  for (std::int64_t tile = 0; tile < s.tiles(); tile += group)
    run_by_filters(s, zeros.data<float>(), tile, std::min(tile + group, s.tiles()));
}

}  // namespace

bool winograd_applies(const Conv2dShape& s, DType dtype) {
  const auto [stride, padding, dilation, groups] = s.params;
  return dtype == DType::kF32 && s.R == kFilter && s.S == kFilter && stride == 1 && padding <= 2 &&
         dilation == 1 && groups == 1 && s.C % kPanelUnit == 0 && s.K % kPanelUnit == 0;
}

void winograd_forward(const Conv2dShape& s, const Tensor& x, const Tensor& w, const Tensor& b,
                      const Tensor& y, Conv2dFusion fusion) {
  const std::int64_t rows = (s.P + kOut - 1) / kOut;
  const std::int64_t columns = (s.Q + kOut - 1) / kOut;
  run({.images = {s.H, s.W, s.C, rows, columns, s.params.padding},
       .outputs = {s.P, s.Q, s.K, rows, columns, 0},
       .N = s.N,
       .turned = false,
       .x = x.data<float>(),
       .w = w.data<float>(),
       .bias = b.defined() ? b.data<float>() : nullptr,
       .y = y.data<float>(),
       .fusion = fusion});
}

void winograd_backward_input(const Conv2dShape& s, const Tensor& dy, const Tensor& w,
                             const Tensor& dx) {
  const std::int64_t rows = (s.H + kOut - 1) / kOut;
  const std::int64_t columns = (s.W + kOut - 1) / kOut;
  run({.images = {s.P, s.Q, s.K, rows, columns, kFilter - 1 - s.params.padding},
       .outputs = {s.H, s.W, s.C, rows, columns, 0},
       .N = s.N,
       .turned = true,
       .x = dy.data<float>(),
       .w = w.data<float>(),
       .bias = nullptr,
       .y = dx.data<float>(),
       .fusion = {}});
}

}  // namespace invp::cpu
