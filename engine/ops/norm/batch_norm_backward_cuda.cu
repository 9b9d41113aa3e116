// One pass that reduces and one that writes dx. Both are bound by memory, so what can be recomputed
// is not stored: the sign of y comes from x by the same arithmetic as in the forward pass. Only
// where a residual was added, y is read instead; then the reducing pass writes g = dresidual, so
// that the second pass need not read both dy and y. The second pass goes over the tensor backwards:
// it begins with what the first has left in the cache.
#include "engine/core/cuda_reduce.cuh"
#include "engine/ops/basic/elementwise.h"
#include "engine/ops/norm/batch_norm_cuda.cuh"

namespace invp::cuda {

namespace {

using Fusion = BatchNormFusion;
constexpr int kThreads = ChannelBlock::kThreads;
constexpr int kRows = ChannelTiles::kRows;

/// g of one element: dy where the relu passed its input on, else 0. y has a value only for
/// kAddRelu.
template <Fusion fusion, int Lanes, class T>
__device__ float through_relu(const Affine<Lanes>& f, int lane, float x, const T& y, float dy) {
  if constexpr (fusion == Fusion::kNone) return dy;
  if constexpr (fusion == Fusion::kAddRelu) return Relu::backward(static_cast<float>(y), dy);
  return Relu::backward(f(lane, x), dy);
}

/// Sums of one channel in one stripe: of g and of g (x - mean).
struct alignas(16) Sums {
  double g;
  double gx;
};

/// Writes the sums and, unless it is null, dresidual.
template <Fusion fusion, class T, int Lanes>
__global__ void __launch_bounds__(kThreads, 2)
    sum_gradients(ChannelTiles tiles, Scaling scaling, const T* x, const T* y, const T* dy,
                  T* dresidual, Sums* partials) {
  float g_sum[Lanes] = {};
  float gx_sum[Lanes] = {};
  const std::int64_t channel = channel_of_thread<Lanes>();
  if (channel < tiles.channels) {
    const Affine<Lanes> f(scaling, channel);
    for (std::int64_t unit = blockIdx.x; unit < tiles.units; unit += gridDim.x) {
      const UnitRows<Lanes> rows(tiles, unit, channel);
      RowPacks<T, Lanes> in;
      RowPacks<T, Lanes> out;
      RowPacks<T, Lanes> up;
      rows.load(x, in);
      rows.load(dy, up);
      if constexpr (fusion == Fusion::kAddRelu) rows.load(y, out);
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        if (r >= rows.count()) break;
        Pack<T, Lanes> left;
#pragma unroll
        for (int l = 0; l < Lanes; ++l) {
          const auto value = static_cast<float>(in[r].lane[l]);
          const float g =
              through_relu<fusion>(f, l, value, out[r].lane[l], static_cast<float>(up[r].lane[l]));
          g_sum[l] += g;
          gx_sum[l] = fmaf(g, value - f.mean[l], gx_sum[l]);
          left.lane[l] = T(g);
        }
        if (fusion == Fusion::kAddRelu && dresidual != nullptr) rows.store(dresidual, r, left);
      }
    }
  }

  __shared__ float g_sums[Lanes][kThreads];
  __shared__ float gx_sums[Lanes][kThreads];
  const unsigned thread = threadIdx.y * blockDim.x + threadIdx.x;
#pragma unroll
  for (int l = 0; l < Lanes; ++l) {
    g_sums[l][thread] = g_sum[l];
    gx_sums[l][thread] = gx_sum[l];
  }
  write_partials<Lanes>(tiles, partials, [&](int lane, int column) {
    Sums sums{};
    for (unsigned t = static_cast<unsigned>(column); t < blockDim.x * blockDim.y; t += blockDim.x) {
      sums.g += g_sums[lane][t];
      sums.gx += gx_sums[lane][t];
    }
    return sums;
  });
}

/// One warp per channel. dgamma and dbeta may be null.
__global__ void join_sums(ChannelTiles tiles, const float* inverse_std, const Sums* partials,
                          float* dgamma, float* dbeta, BatchNormSums out) {
  const std::int64_t channel = channel_of_warp();
  if (channel >= tiles.channels) return;
  const auto lane = static_cast<int>(threadIdx.x) % kWarp;
  Sums sums{};
  for (std::int64_t s = lane; s < tiles.stripes; s += kWarp) {
    const Sums part = partials[channel * tiles.stripes + s];
    sums.g += part.g;
    sums.gx += part.gx;
  }
  sums.g = reduce_warp(sums.g, Plus());
  sums.gx = reduce_warp(sums.gx, Plus());
  if (lane != 0) return;
  out.g[channel] = sums.g;
  out.gx[channel] = sums.gx;
  if (dbeta != nullptr) dbeta[channel] = static_cast<float>(sums.g);
  if (dgamma != nullptr) {
    const double inverse = inverse_std[channel];
    dgamma[channel] = static_cast<float>(sums.gx * inverse);
  }
}

/// dx = (g - g_mean) scale - (x - mean) slope, for the channels of one thread.
template <int Lanes>
struct Slopes {
  __device__ Slopes(const Scaling& scaling, const BatchNormSums& sums, double share,
                    std::int64_t channel) {
#pragma unroll
    for (int l = 0; l < Lanes; ++l) {
      const std::int64_t c = channel + l;
      const double inverse = scaling.inverse_std[c];
      g_mean[l] = static_cast<float>(BatchNormSums::average(sums.g[c], share));
      slope[l] = static_cast<float>(BatchNormSums::average(sums.gx[c], share) * inverse * inverse *
                                    (scaling.gamma[c] * inverse));
    }
  }
  float g_mean[Lanes];
  float slope[Lanes];
};

/// share is 1 / count, or 0 where mean and inverse_std are constants.
template <Fusion fusion, class T, int Lanes>
__global__ void __launch_bounds__(kThreads, 2)
    write_dx(ChannelTiles tiles, Scaling scaling, BatchNormSums sums, double share, const T* x,
             const T* y, const T* dy, T* dx) {
  const std::int64_t channel = channel_of_thread<Lanes>();
  if (channel >= tiles.channels) return;
  const Affine<Lanes> f(scaling, channel);
  const Slopes<Lanes> slopes(scaling, sums, share, channel);
  for (std::int64_t unit = blockIdx.x; unit < tiles.units; unit += gridDim.x) {
    const UnitRows<Lanes> rows(tiles, tiles.units - 1 - unit, channel);
    RowPacks<T, Lanes> in;
    RowPacks<T, Lanes> out;
    RowPacks<T, Lanes> up;
    rows.load(x, in);
    rows.load(dy, up);
    if constexpr (fusion == Fusion::kAddRelu) rows.load(y, out);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (r >= rows.count()) break;
      Pack<T, Lanes> down;
#pragma unroll
      for (int l = 0; l < Lanes; ++l) {
        const auto value = static_cast<float>(in[r].lane[l]);
        const float g =
            through_relu<fusion>(f, l, value, out[r].lane[l], static_cast<float>(up[r].lane[l]));
        down.lane[l] =
            T((g - slopes.g_mean[l]) * f.scale[l] - (value - f.mean[l]) * slopes.slope[l]);
      }
      rows.store(dx, r, down);
    }
  }
}

/// Calls body(fusion, T{}, lanes) for x of T; fusion and lanes are constants. `tensors`: all that
/// the kernel reads or writes per channel.
template <class Body>
void dispatch_kernels(Fusion fusion, const Tensor& x, std::initializer_list<Tensor> tensors,
                      const Body& body) {
  dispatch_floating(x.dtype(), "batch_norm", [&]<class T>(T) {
    dispatch_fusion(fusion, [&](auto constant) {
      dispatch_lanes<T>(x.dim(-1), tensors, [&](auto lanes) { body(constant, T{}, lanes); });
    });
  });
}

}  // namespace

void batch_norm_gradient_sums(Fusion fusion, const Tensor& x, const BatchNormScaling& scaling,
                              const Tensor& y, const Tensor& dy, const BatchNormReduced& reduced) {
  if (x.numel() == 0) {
    for (const Tensor& sum : {reduced.sums, reduced.dgamma, reduced.dbeta}) {
      if (sum.defined()) sum.zero();
    }
    return;
  }
  const Context& gpu = context(x.device());
  dispatch_kernels(
      fusion, x,
      {x, y, dy, reduced.dresidual, scaling.mean, scaling.inverse_std, scaling.gamma, scaling.beta},
      [&]<class T>(auto constant, T, auto lanes) {
        const ChannelTiles tiles(x, lanes);
        const Tensor partials = make_partials<Sums>(tiles, x.device());
        auto* const sums = static_cast<Sums*>(partials.raw());
        launch(gpu, tiles.grid(), sum_gradients<constant, T, lanes>, tiles, Scaling(scaling),
               x.data<T>(), data_or_null<T>(y), dy.data<T>(), data_or_null<T>(reduced.dresidual),
               sums);
        launch(gpu, warp_per_channel(tiles.channels), join_sums, tiles,
               scaling.inverse_std.data<float>(), sums, data_or_null<float>(reduced.dgamma),
               data_or_null<float>(reduced.dbeta),
               BatchNormSums(reduced.sums.data<double>(), tiles.channels));
      });
}

void batch_norm_dx(Fusion fusion, const Tensor& x, const BatchNormScaling& scaling, const Tensor& y,
                   const Tensor& dy, const Tensor& sums, double count, const Tensor& dx) {
  if (x.numel() == 0) return;
  dispatch_kernels(fusion, x,
                   {x, y, dy, dx, scaling.mean, scaling.inverse_std, scaling.gamma, scaling.beta},
                   [&]<class T>(auto constant, T, auto lanes) {
                     const ChannelTiles tiles(x, lanes);
                     launch(context(x.device()), tiles.grid(), write_dx<constant, T, lanes>, tiles,
                            Scaling(scaling), BatchNormSums(sums.data<double>(), tiles.channels),
                            count > 0 ? 1 / count : 0.0, x.data<T>(), data_or_null<T>(y),
                            dy.data<T>(), dx.data<T>());
                   });
}

}  // namespace invp::cuda
