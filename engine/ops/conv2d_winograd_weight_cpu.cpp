// Winograd's convolution, backward to the filters: tiles of the images (V) and of the outputs'
// gradient (D) are transformed, multiplied as 36 matrices dU = D^T V, one a point, summed over all
// tiles, and only then transformed back to 3x3.
#include "engine/core/parallel.h"
#include "engine/ops/conv2d_winograd_cpu.h"
#include "engine/ops/conv2d_winograd_tiles_cpu.h"

namespace invp::cpu {

namespace {

using namespace winograd;

struct FilterGradient {
  TiledImages images;     ///< x in windows of 6 x 6
  TiledImages gradients;  ///< dy in windows of 4 x 4
  std::int64_t N;
  const float* x;
  const float* dy;
  const float* zeros;
  float* dw;

  std::int64_t C() const { return images.C; }
  std::int64_t K() const { return gradients.C; }
  std::int64_t tiles() const { return images.tiles_of(N); }
  std::int64_t blocks_of_c() const { return C() / panel_width(C()); }
  std::int64_t blocks_of_k() const { return K() / panel_width(K()); }
  /// Floats of dU for one pair of panels: (36, width of K, width of C).
  std::int64_t pair_size() const { return kPoints * panel_width(K()) * panel_width(C()); }
  std::int64_t pairs() const { return blocks_of_k() * blocks_of_c(); }
};

Tensor workspace(std::int64_t floats) {
  const MemoryScope scope(MemoryUse::kWorkspace);
  return Tensor::empty({floats});
}

/// V and D of a range of tiles.
struct TransformedTiles {
  Tensor v_memory, d_memory;
  TilePanels v, d;

  TransformedTiles(const FilterGradient& s, std::int64_t most)
      : v_memory(workspace(TilePanels::size(most, s.C()))),
        d_memory(workspace(TilePanels::size(most, s.K()))),
        v{v_memory.data<float>(), 0, s.C()},
        d{d_memory.data<float>(), 0, s.K()} {}

  void fill(const FilterGradient& s, std::int64_t first, std::int64_t last) {
    v.tiles = d.tiles = last - first;
    parallel_for(first, last, 1, [&](std::int64_t begin, std::int64_t end) {
      transform_tiles<InputTransform>(s.images, s.x, s.zeros, begin, end, first, v);
      transform_tiles<OutputGradientTransform>(s.gradients, s.dy, s.zeros, begin, end, first, d);
    });
  }
};

/// du: (36, width of K, width of C) of one pair of panels, (+)= the sum over all tiles at hand.
void multiply(const TransformedTiles& tiles, std::int64_t block_k, std::int64_t block_c, bool add,
              float* du) {
  constexpr std::int64_t kDepth = 128;  // tiles a pass: a panel of V of 32 KB stays in L1
  const std::int64_t width_k = tiles.d.width();
  const std::int64_t width_c = tiles.v.width();
  for (std::int64_t point = 0; point < kPoints; ++point) {
    const float* const d = tiles.d.panel(point, block_k);
    const float* const v = tiles.v.panel(point, block_c);
    for (std::int64_t t = 0; t < tiles.v.tiles; t += kDepth) {
      multiply_panels(Left::kTransposed, d + t * width_k, width_k, width_k, v + t * width_c,
                      std::min(kDepth, tiles.v.tiles - t), du + point * width_k * width_c, width_c,
                      add || t > 0);
    }
  }
}

/// Transforms the sums of one pair of panels back to the filters' gradient.
void finish(const FilterGradient& s, std::int64_t block_k, std::int64_t block_c, const float* du) {
  const std::int64_t width_k = panel_width(s.K());
  const std::int64_t width_c = panel_width(s.C());
  for (std::int64_t i = 0; i < width_k; ++i) {
    for (std::int64_t j = 0; j < width_c; j += kVec) {
      const float* const from = du + i * width_c + j;
      float* const to =
          s.dw + (block_k * width_k + i) * kFilter * kFilter * s.C() + block_c * width_c + j;
      transform_both_ways<FilterGradientTransform>(
          [&](int r, int t) { return load(from + (r * kWindow + t) * width_k * width_c); },
          [&](int r, int t, Vec value) { store(to + (r * kFilter + t) * s.C(), value); });
    }
  }
}

/// Few filters: every thread sums its own tiles, in blocks that stay in its cache.
void run_by_tiles(const FilterGradient& s) {
  constexpr std::int64_t kBlock = 32;
  const auto threads = static_cast<std::int64_t>(num_threads());
  const std::int64_t size = s.pairs() * s.pair_size();
  const Tensor sums = workspace(threads * size);
  const std::int64_t parts = std::min(threads, (s.tiles() + kBlock - 1) / kBlock);
  parallel_for(0, parts, 1, [&](std::int64_t first, std::int64_t last) {
    TransformedTiles tiles(s, kBlock);
    for (std::int64_t part = first; part < last; ++part) {
      const std::int64_t begin = s.tiles() * part / parts;
      const std::int64_t end = s.tiles() * (part + 1) / parts;
      for (std::int64_t tile = begin; tile < end; tile += kBlock) {
        tiles.fill(s, tile, std::min(tile + kBlock, end));
        for (std::int64_t pair = 0; pair < s.pairs(); ++pair) {
          multiply(tiles, pair / s.blocks_of_c(), pair % s.blocks_of_c(), tile > begin,
                   sums.data<float>() + part * size + pair * s.pair_size());
        }
      }
    }
  });
  float* const total = sums.data<float>();
  parallel_for(0, size, 4096, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = 1; part < parts; ++part)
      for (std::int64_t i = begin; i < end; ++i) total[i] += total[part * size + i];
  });
  for (std::int64_t pair = 0; pair < s.pairs(); ++pair)
    finish(s, pair / s.blocks_of_c(), pair % s.blocks_of_c(), total + pair * s.pair_size());
}

/// Many filters: tiles are transformed once for all, every thread sums its own pairs of panels.
void run_by_filters(const FilterGradient& s, std::int64_t group) {
  const std::int64_t tiles_at_once = std::min(s.tiles(), group);
  const bool at_once = tiles_at_once == s.tiles();
  TransformedTiles tiles(s, tiles_at_once);
  const Tensor sums = at_once ? Tensor() : workspace(s.pairs() * s.pair_size());
  for (std::int64_t tile = 0; tile < s.tiles(); tile += tiles_at_once) {
    const std::int64_t end = std::min(tile + tiles_at_once, s.tiles());
    tiles.fill(s, tile, end);
    parallel_for(0, s.pairs(), 1, [&](std::int64_t first, std::int64_t last) {
      const Tensor own = at_once ? workspace(s.pair_size()) : Tensor();
      for (std::int64_t pair = first; pair < last; ++pair) {
        const std::int64_t k = pair / s.blocks_of_c();
        const std::int64_t c = pair % s.blocks_of_c();
        float* const du = at_once ? own.data<float>() : sums.data<float>() + pair * s.pair_size();
        multiply(tiles, k, c, tile > 0, du);
        if (end == s.tiles()) finish(s, k, c, du);
      }
    });
  }
}

}  // namespace

void winograd_backward_weight(const Conv2dShape& s, const Tensor& dy, const Tensor& x,
                              const Tensor& dw) {
  const std::int64_t rows = (s.P + kOut - 1) / kOut;
  const std::int64_t columns = (s.Q + kOut - 1) / kOut;
  const Tensor zeros = workspace(std::max(s.C, s.K));
  zeros.zero();
  const FilterGradient gradient{.images = {s.H, s.W, s.C, rows, columns, s.params.padding},
                                .gradients = {s.P, s.Q, s.K, rows, columns, 0},
                                .N = s.N,
                                .x = x.data<float>(),
                                .dy = dy.data<float>(),
                                .zeros = zeros.data<float>(),
                                .dw = dw.data<float>()};
  constexpr std::int64_t kFewSums = kPoints * 64 * 64;
  if (gradient.pairs() * gradient.pair_size() <= kFewSums) return run_by_tiles(gradient);
  constexpr std::int64_t kGroup = std::int64_t{6} << 20;  // floats of transformed tiles at once
  run_by_filters(gradient, std::max(kGroup / kPoints / (s.C + s.K), std::int64_t{1}));
}

}  // namespace invp::cpu
