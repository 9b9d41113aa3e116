// Convolution as matrix products, forward and backward to the images. Both are sums over taps of
// gathered pixels times a matrix of filters. Backward with a stride consists of stride x
// stride problems, one for each position of the pixel within the stride, each with its own taps.
#include "engine/ops/conv/conv2d_matmul_cpu.h"

#include <array>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/core/vec_cpu.h"
#include "engine/ops/conv/conv2d_gather_cpu.h"

namespace invp::cpu {

namespace {

struct GatheredProduct {
  Images from, to;  ///< of C and K channels
  std::int64_t N;
  std::int64_t window;  ///< R * S
  Places places;        ///< step: in pixels of `from`
  std::vector<Tap> taps;
  std::int64_t to_h, to_w, to_step;  ///< where the places lie in `to`
  bool turned;                       ///< the filters are (C,R,S,K) in memory, else (K,R,S,C)
  const float* x;
  const float* w;
  const float* bias;  ///< or nullptr
  float* y;
  Conv2dFusion fusion;

  std::int64_t C() const { return from.C; }
  std::int64_t K() const { return to.C; }
  std::int64_t points() const { return static_cast<std::int64_t>(taps.size()); }
};

/// u: (taps, C, width), the filters [k, k + width).
void pack_filters(const GatheredProduct& s, std::int64_t k, std::int64_t width, float* u) {
  std::array<Vec, kVec> rows;  // by channel: a vector of filters each
  for (const Tap& tap : s.taps) {
    for (std::int64_t c = 0; c < s.C(); c += kVec) {
      for (std::int64_t first = 0; first < width; first += kVec) {
        for (int i = 0; i < kVec; ++i) {
          const std::int64_t filter = k + first;
          rows[static_cast<std::size_t>(i)] =
              s.turned ? load(s.w + ((c + i) * s.window + tap.index) * s.K() + filter)
                       : load(s.w + ((filter + i) * s.window + tap.index) * s.C() + c);
        }
        if (!s.turned) transpose(rows);
        for (int i = 0; i < kVec; ++i)
          store(u + (c + i) * width + first, rows[static_cast<std::size_t>(i)]);
      }
    }
    u += s.C() * width;
  }
}

/// Writes m: (count, width) to places [place, place + count), channels [k, k + width) of y.
void finish(const GatheredProduct& s, const float* m, std::int64_t place, std::int64_t count,
            std::int64_t k, std::int64_t width) {
  const Conv2dFusion fusion = s.fusion;
  for_each_place(s.places, place, place + count,
                 [&](std::int64_t, std::int64_t n, std::int64_t row, std::int64_t column) {
                   const std::int64_t h = row * s.to_step + s.to_h;
                   const std::int64_t w = column * s.to_step + s.to_w;
                   float* const to = s.y + ((n * s.to.H + h) * s.to.W + w) * s.K() + k;
                   for (std::int64_t j = 0; j < width; j += kVec) {
                     Vec value = load(m + j);
                     if (s.bias != nullptr) value += load(s.bias + k + j);
                     if (fusion.add) value += load(to + j);
                     store(to + j, fusion.relu ? positive_part(value) : value);
                   }
                   m += width;
                 });
}

void run(const GatheredProduct& s) {
  const std::int64_t width = panel_width(s.K());
  const std::int64_t depth = panel_width(s.C());
  const std::int64_t filter_size = s.points() * s.C() * width;  // of one panel of filters
  const Tensor u = workspace(s.points() * s.C() * s.K());
  float* const filters = u.data<float>();
  parallel_for(0, s.K() / width, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      pack_filters(s, i * width, width, filters + i * filter_size);
  });
  constexpr std::int64_t kFloats = std::int64_t{1} << 18;  // of gathered pixels: in L2
  constexpr std::int64_t kTile = 12;                       // whole tiles of the product
  const std::int64_t block = std::clamp<std::int64_t>(
      kFloats / std::max<std::int64_t>(s.points() * s.C(), 1) / kTile * kTile, 2 * kTile,
      8 * kTile);
  parallel_for(0, s.places.of(s.N), block, [&](std::int64_t begin, std::int64_t end) {
    Panels v(s.points(), block, s.C());
    const Tensor product = workspace(block * width);
    float* const m = product.data<float>();
    if (s.taps.empty()) product.zero();
    for (std::int64_t place = begin; place < end; place += block) {
      const std::int64_t count = std::min(block, end - place);
      v.set_rows(count);
      gather(s.from, s.x, s.places, s.taps, place, place + count, place, v);
      for (std::int64_t k = 0; k < s.K(); k += width) {
        const float* b = filters + k / width * filter_size;
        for (std::int64_t tap = 0; tap < s.points(); ++tap) {
          for (std::int64_t c = 0; c < s.C(); c += depth, b += depth * width) {
            multiply_panels(Left::kPlain, v.panel(tap, c / depth), depth, count, b, depth, m, width,
                            tap + c > 0);
          }
        }
        finish(s, m, place, count, k, width);
      }
    }
  });
}

}  // namespace

bool matmul_applies(const Conv2dShape& s, DType dtype) {
  return dtype == DType::kF32 && s.params.groups == 1 && s.C % kPanelUnit == 0 &&
         s.K % kPanelUnit == 0;
}

void matmul_forward(const Conv2dShape& s, const Tensor& x, const Tensor& w, const Tensor& b,
                    const Tensor& y, Conv2dFusion fusion) {
  const auto [stride, padding, dilation, groups] = s.params;
  GatheredProduct product{.from = {s.H, s.W, s.C},
                          .to = {s.P, s.Q, s.K},
                          .N = s.N,
                          .window = s.R * s.S,
                          .places = {s.P, s.Q, stride},
                          .taps = {},
                          .to_h = 0,
                          .to_w = 0,
                          .to_step = 1,
                          .turned = false,
                          .x = x.data<float>(),
                          .w = w.data<float>(),
                          .bias = b.defined() ? b.data<float>() : nullptr,
                          .y = y.data<float>(),
                          .fusion = fusion};
  for (std::int64_t r = 0; r < s.R; ++r) {
    for (std::int64_t t = 0; t < s.S; ++t)
      product.taps.push_back({r * dilation - padding, t * dilation - padding, r * s.S + t});
  }
  run(product);
}

void matmul_backward_input(const Conv2dShape& s, const Tensor& dy, const Tensor& w,
                           const Tensor& dx) {
  const std::int64_t stride = s.params.stride;
  const std::int64_t padding = s.params.padding;
  const std::int64_t dilation = s.params.dilation;
  for (std::int64_t h = 0; h < std::min(stride, s.H); ++h) {
    for (std::int64_t v = 0; v < std::min(stride, s.W); ++v) {
      GatheredProduct product{
          .from = {s.P, s.Q, s.K},
          .to = {s.H, s.W, s.C},
          .N = s.N,
          .window = s.R * s.S,
          .places = {(s.H - h + stride - 1) / stride, (s.W - v + stride - 1) / stride, 1},
          .taps = {},
          .to_h = h,
          .to_w = v,
          .to_step = stride,
          .turned = true,
          .x = dy.data<float>(),
          .w = w.data<float>(),
          .bias = nullptr,
          .y = dx.data<float>(),
          .fusion = {}};
      // Output p reaches pixel h through tap r where p * stride - padding + r * dilation = h.
      for (std::int64_t r = 0; r < s.R; ++r) {
        for (std::int64_t t = 0; t < s.S; ++t) {
          const std::int64_t p = h + padding - r * dilation;
          const std::int64_t q = v + padding - t * dilation;
          if (p % stride == 0 && q % stride == 0)
            product.taps.push_back({p / stride, q / stride, r * s.S + t});
        }
      }
      run(product);
    }
  }
}

}  // namespace invp::cpu
