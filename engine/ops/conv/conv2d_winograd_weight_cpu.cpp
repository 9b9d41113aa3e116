// Winograd's convolution, backward to the filters: tiles of the images and of the outputs' gradient
// are transformed, multiplied as 36 matrices, one per point, summed over all tiles, and only then
// transformed back to 3x3.
#include "engine/ops/conv/conv2d_filter_gradient_cpu.h"
#include "engine/ops/conv/conv2d_winograd_cpu.h"
#include "engine/ops/conv/conv2d_winograd_tiles_cpu.h"

namespace invp::cpu {

namespace {

using namespace winograd;

struct TiledGradient {
  TiledImages images;     ///< x in windows of 6 x 6
  TiledImages gradients;  ///< dy in windows of 4 x 4
  std::int64_t N;
  const float* x;
  const float* dy;
  const float* zeros;
  float* dw;

  std::int64_t rows() const { return images.tiles_of(N); }
  std::int64_t C() const { return images.C; }
  std::int64_t K() const { return gradients.C; }
  std::int64_t points() const { return kPoints; }
  std::int64_t d_points() const { return kPoints; }

  void fill(std::int64_t begin, std::int64_t end, std::int64_t first, const Panels& v,
            const Panels& d) const {
    transform_tiles<InputTransform>(images, x, zeros, begin, end, first, v);
    transform_tiles<OutputGradientTransform>(gradients, dy, zeros, begin, end, first, d);
  }

  void finish(std::int64_t block_k, std::int64_t block_c, const float* du) const {
    const std::int64_t width_k = panel_width(K());
    const std::int64_t width_c = panel_width(C());
    for (std::int64_t i = 0; i < width_k; ++i) {
      for (std::int64_t j = 0; j < width_c; j += kVec) {
        const float* const from = du + i * width_c + j;
        float* const to =
            dw + (block_k * width_k + i) * kFilter * kFilter * C() + block_c * width_c + j;
        transform_both_ways<FilterGradientTransform>(
            [&](int r, int t) { return load(from + (r * kWindow + t) * width_k * width_c); },
            [&](int r, int t, Vec value) { store(to + (r * kFilter + t) * C(), value); });
      }
    }
  }
};

}  // namespace

void winograd_backward_weight(const Conv2dShape& s, const Tensor& dy, const Tensor& x,
                              const Tensor& dw) {
  const std::int64_t rows = (s.P + kOut - 1) / kOut;
  const std::int64_t columns = (s.Q + kOut - 1) / kOut;
  const Tensor zeros = workspace(std::max(s.C, s.K));
  zeros.zero();
  const TiledGradient gradient{.images = {s.H, s.W, s.C, rows, columns, s.params.padding},
                               .gradients = {s.P, s.Q, s.K, rows, columns, 0},
                               .N = s.N,
                               .x = x.data<float>(),
                               .dy = dy.data<float>(),
                               .zeros = zeros.data<float>(),
                               .dw = dw.data<float>()};
  FilterGradientSum(gradient).run();
}

}  // namespace invp::cpu
