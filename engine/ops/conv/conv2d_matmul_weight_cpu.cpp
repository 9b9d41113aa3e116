// Convolution as matrix products, backward to the filters: for every tap, the gradient of the
// outputs times the pixels under the tap, summed over all places.
#include <vector>

#include "engine/ops/conv/conv2d_filter_gradient_cpu.h"
#include "engine/ops/conv/conv2d_gather_cpu.h"
#include "engine/ops/conv/conv2d_matmul_cpu.h"

namespace invp::cpu {

namespace {

struct GatheredGradient {
  Images images, gradients;
  Places places;
  std::int64_t N;
  std::vector<Tap> taps;
  const float* x;
  const float* dy;
  float* dw;

  std::int64_t rows() const { return places.of(N); }
  std::int64_t C() const { return images.C; }
  std::int64_t K() const { return gradients.C; }
  std::int64_t points() const { return static_cast<std::int64_t>(taps.size()); }
  std::int64_t d_points() const { return 1; }

  void fill(std::int64_t begin, std::int64_t end, std::int64_t first, const Panels& v,
            const Panels& d) const {
    constexpr Tap kSelf{};
    const Places own{places.rows, places.columns, 1};
    gather(images, x, places, taps, begin, end, first, v);
    gather(gradients, dy, own, {&kSelf, 1}, begin, end, first, d);
  }

  void finish(std::int64_t block_k, std::int64_t block_c, const float* du) const {
    const std::int64_t width_k = panel_width(K());
    const std::int64_t width_c = panel_width(C());
    for (std::int64_t tap = 0; tap < points(); ++tap) {
      for (std::int64_t i = 0; i < width_k; ++i) {
        std::copy_n(du + (tap * width_k + i) * width_c, width_c,
                    dw + ((block_k * width_k + i) * points() + tap) * C() + block_c * width_c);
      }
    }
  }
};

}  // namespace

void matmul_backward_weight(const Conv2dShape& s, const Tensor& dy, const Tensor& x,
                            const Tensor& dw) {
  const auto [stride, padding, dilation, groups] = s.params;
  std::vector<Tap> taps;
  for (std::int64_t r = 0; r < s.R; ++r) {
    for (std::int64_t t = 0; t < s.S; ++t)
      taps.push_back({r * dilation - padding, t * dilation - padding, r * s.S + t});
  }
  const GatheredGradient gradient{.images = {s.H, s.W, s.C},
                                  .gradients = {s.P, s.Q, s.K},
                                  .places = {s.P, s.Q, stride},
                                  .N = s.N,
                                  .taps = std::move(taps),
                                  .x = x.data<float>(),
                                  .dy = dy.data<float>(),
                                  .dw = dw.data<float>()};
  FilterGradientSum(gradient).run();
}

}  // namespace invp::cpu
