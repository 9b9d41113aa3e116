// Forward is one read of x and one write of y after the statistics (batch_norm_statistics_cpu.cpp).
// Backward is one pass that reduces and one that writes dx. All of it is bound by memory, so what
// can be recomputed is not stored: the sign of y comes from x by the same arithmetic as in the
// forward pass. Only where a residual was added, y is read instead; then the reducing pass writes g
// = dresidual, so that the second pass need not read both dy and y.
#include <vector>

#include "engine/core/parallel.h"
#include "engine/core/stores_cpu.h"
#include "engine/ops/basic/elementwise.h"
#include "engine/ops/norm/batch_norm.h"
#include "engine/ops/norm/channel_tiles_cpu.h"

namespace invp::cpu {

namespace {

using Fusion = BatchNormFusion;

/// The coefficients of y = (x - mean) scale + beta, repeated to the width of a tile. The mean is
/// subtracted first because x scale + (beta - mean scale) cancels where the mean is large.
struct Affine {
  Affine(const ChannelTiles& tiles, const BatchNormScaling& scaling)
      : storage(tiles.scratch(3)),
        mean(storage.data<float>()),
        scale(mean + tiles.width()),
        beta(scale + tiles.width()) {
    const float* const gamma = scaling.gamma.data<float>();
    const float* const inverse_std = scaling.inverse_std.data<float>();
    tiles.expand(mean, [from = scaling.mean.data<float>()](std::int64_t c) { return from[c]; });
    tiles.expand(scale, [gamma, inverse_std](std::int64_t c) { return gamma[c] * inverse_std[c]; });
    tiles.expand(beta, [from = scaling.beta.data<float>()](std::int64_t c) { return from[c]; });
  }
  Tensor storage;
  float* mean;
  float* scale;
  float* beta;
};

std::int64_t grain(const ChannelTiles& tiles) {
  return 1 + 16384 / tiles.width();
}

/// Calls body(first, count) for every tile of every thread's share.
template <class Body>
void for_each_tile(const ChannelTiles& tiles, bool streaming, const Body& body) {
  parallel_for(0, tiles.tiles(), grain(tiles), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t tile = begin; tile < end; ++tile) {
      const std::int64_t first = tile * tiles.width();
      body(first, std::min(tiles.elements(), first + tiles.width()));
    }
    finish_stores(streaming);
  });
}

/// g of one element: dy where the relu passed its input on, else 0.
template <Fusion fusion, class T>
float through_relu(const Affine& f, std::int64_t c, float x, T y, float dy) {
  if constexpr (fusion == Fusion::kNone) return dy;
  if constexpr (fusion == Fusion::kAddRelu) return Relu::backward(static_cast<float>(y), dy);
  return Relu::backward((x - f.mean[c]) * f.scale[c] + f.beta[c], dy);
}

/// BatchNormSums of one block.
struct Sums {
  explicit Sums(std::int64_t channels) : g(static_cast<std::size_t>(channels)), gx(g.size()) {}
  std::vector<double> g;
  std::vector<double> gx;
};

template <Fusion fusion, class T>
void reduce_block(const ChannelTiles& tiles, const Affine& f, std::int64_t begin, std::int64_t end,
                  const T* x, const T* y, const T* dy, T* dresidual, bool streaming, float* g_sums,
                  float* gx_sums) {
  std::fill_n(g_sums, tiles.width(), 0.0F);
  std::fill_n(gx_sums, tiles.width(), 0.0F);
  for (std::int64_t tile = begin; tile < end; tile += tiles.width()) {
    const std::int64_t count = std::min(tiles.width(), end - tile);
    const T* const tile_x = x + tile;
    const T* const tile_y = y + (fusion == Fusion::kAddRelu ? tile : 0);
    const T* const tile_dy = dy + tile;
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) {
      const auto value = static_cast<float>(tile_x[i]);
      const float g = through_relu<fusion>(f, i, value, tile_y[fusion == Fusion::kAddRelu ? i : 0],
                                           static_cast<float>(tile_dy[i]));
      g_sums[i] += g;
      gx_sums[i] += g * (value - f.mean[i]);
    }
    if (dresidual == nullptr) continue;
    write_blocks(dresidual, tile, tile + count, streaming,
                 [&](T* out, std::int64_t first, std::int64_t n) {
#pragma omp simd
                   for (std::int64_t i = 0; i < n; ++i) {
                     put(out[i], Relu::backward(static_cast<float>(y[first + i]),
                                                static_cast<float>(dy[first + i])));
                   }
                 });
  }
}

/// Writes `total` and, if it is defined, dresidual.
template <Fusion fusion, class T>
void reduce(const ChannelTiles& tiles, const Affine& f, const Tensor& x, const Tensor& y,
            const Tensor& dy, const Tensor& dresidual, const BatchNormSums& total) {
  const std::int64_t channels = tiles.channels();
  const T* const y_data = y.defined() ? y.data<T>() : x.data<T>();
  T* const dresidual_data = dresidual.defined() ? dresidual.data<T>() : nullptr;
  const bool streaming = streams(x);
  std::vector<Sums> partials(static_cast<std::size_t>(tiles.blocks()), Sums(channels));
  parallel_for(0, tiles.blocks(), 1, [&](std::int64_t begin, std::int64_t end) {
    const Tensor scratch = tiles.scratch(2);
    float* const g_sums = scratch.data<float>();
    float* const gx_sums = g_sums + tiles.width();
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t first = block * tiles.block_rows() * channels;
      reduce_block<fusion>(tiles, f, first, first + tiles.rows_of(block) * channels, x.data<T>(),
                           y_data, dy.data<T>(), dresidual_data, streaming, g_sums, gx_sums);
      Sums& partial = partials[static_cast<std::size_t>(block)];
      for (std::int64_t c = 0; c < channels; ++c) {
        partial.g[static_cast<std::size_t>(c)] = tiles.fold(g_sums, c);
        partial.gx[static_cast<std::size_t>(c)] = tiles.fold(gx_sums, c);
      }
    }
    finish_stores(streaming);
  });
  std::fill_n(total.g, channels, 0.0);
  std::fill_n(total.gx, channels, 0.0);
  for (const Sums& partial : partials) {
    for (std::int64_t c = 0; c < channels; ++c) {
      total.g[c] += partial.g[static_cast<std::size_t>(c)];
      total.gx[c] += partial.gx[static_cast<std::size_t>(c)];
    }
  }
}

/// dx = (g - g_mean) scale - (x - mean) slope
template <Fusion fusion, class T>
void write_dx(const ChannelTiles& tiles, const Affine& f, const float* g_mean, const float* slope,
              const T* x, const T* y, const T* dy, const Tensor& dx) {
  const bool streaming = streams(dx);
  for_each_tile(tiles, streaming, [&](std::int64_t begin, std::int64_t end) {
    write_blocks(
        dx.data<T>(), begin, end, streaming, [&](T* out, std::int64_t first, std::int64_t count) {
          const std::int64_t c = first - begin;
          const T* const block_x = x + first;
          const T* const block_y = y + first;
          const T* const block_dy = dy + first;
#pragma omp simd
          for (std::int64_t i = 0; i < count; ++i) {
            const auto value = static_cast<float>(block_x[i]);
            const float g =
                through_relu<fusion>(f, c + i, value, block_y[i], static_cast<float>(block_dy[i]));
            put(out[i],
                (g - g_mean[c + i]) * f.scale[c + i] - (value - f.mean[c + i]) * slope[c + i]);
          }
        });
  });
}

}  // namespace

void batch_norm_forward(Fusion fusion, const Tensor& x, const BatchNormScaling& scaling,
                        const Tensor& residual, const Tensor& y) {
  const ChannelTiles tiles(x);
  const Affine f(tiles, scaling);
  const bool streaming = streams(y);
  dispatch_floating(x.dtype(), "batch_norm", [&]<class T>(T) {
    dispatch_fusion(fusion, [&](auto constant) {
      const T* const from = x.data<T>();
      const T* const added = constant == Fusion::kAddRelu ? residual.data<T>() : from;
      for_each_tile(tiles, streaming, [&](std::int64_t begin, std::int64_t end) {
        write_blocks(y.data<T>(), begin, end, streaming,
                     [&](T* out, std::int64_t first, std::int64_t count) {
                       const std::int64_t c = first - begin;
#pragma omp simd
                       for (std::int64_t i = 0; i < count; ++i) {
                         float value = (static_cast<float>(from[first + i]) - f.mean[c + i]) *
                                           f.scale[c + i] +
                                       f.beta[c + i];
                         if constexpr (constant == Fusion::kAddRelu) {
                           value += static_cast<float>(added[first + i]);
                         }
                         if constexpr (constant != Fusion::kNone) value = Relu::forward(value);
                         put(out[i], value);
                       }
                     });
      });
    });
  });
}

void batch_norm_gradient_sums(Fusion fusion, const Tensor& x, const BatchNormScaling& scaling,
                              const Tensor& y, const Tensor& dy, const BatchNormReduced& reduced) {
  const ChannelTiles tiles(x);
  const Affine f(tiles, scaling);
  const BatchNormSums sums(reduced.sums.data<double>(), tiles.channels());
  dispatch_floating(x.dtype(), "batch_norm", [&]<class T>(T) {
    dispatch_fusion(fusion, [&](auto constant) {
      reduce<constant, T>(tiles, f, x, y, dy, reduced.dresidual, sums);
    });
  });
  const float* const inverse_std = scaling.inverse_std.data<float>();
  for (std::int64_t c = 0; c < tiles.channels(); ++c) {
    if (reduced.dbeta.defined()) reduced.dbeta.data<float>()[c] = static_cast<float>(sums.g[c]);
    if (reduced.dgamma.defined()) {
      reduced.dgamma.data<float>()[c] = static_cast<float>(sums.gx[c] * inverse_std[c]);
    }
  }
}

void batch_norm_dx(Fusion fusion, const Tensor& x, const BatchNormScaling& scaling, const Tensor& y,
                   const Tensor& dy, const Tensor& sums, double count, const Tensor& dx) {
  const ChannelTiles tiles(x);
  const Affine f(tiles, scaling);
  const BatchNormSums total(sums.data<double>(), tiles.channels());
  const float* const inverse_std = scaling.inverse_std.data<float>();
  const Tensor scratch = tiles.scratch(2);
  float* const g_mean = scratch.data<float>();
  float* const slope = g_mean + tiles.width();
  const double share = count > 0 ? 1 / count : 0;
  tiles.expand(g_mean, [&](std::int64_t c) { return BatchNormSums::average(total.g[c], share); });
  tiles.expand(slope, [&](std::int64_t c) {
    const double inverse = inverse_std[c];
    return BatchNormSums::average(total.gx[c], share) * inverse * inverse * f.scale[c];
  });
  dispatch_floating(x.dtype(), "batch_norm", [&]<class T>(T) {
    dispatch_fusion(fusion, [&](auto constant) {
      const T* const from = x.data<T>();
      write_dx<constant>(tiles, f, g_mean, slope, from, y.defined() ? y.data<T>() : from,
                         dy.data<T>(), dx);
    });
  });
}

}  // namespace invp::cpu
