// One pass that reduces and one that writes dx. Both are bound by memory, so what can be recomputed
// is not stored: the sign of y comes from x by the very arithmetic of the forward pass. Only where
// a residual was added is y read instead, and then the reducing pass leaves g = dresidual behind,
// which spares the second one reading both dy and y. The second pass goes over the tensor
// backwards: it begins with what the first has left in the cache.
#include "engine/core/cuda_reduce.cuh"
#include "engine/ops/basic/elementwise.h"
#include "engine/ops/norm/batch_norm_cuda.cuh"

namespace invp::cuda {

namespace {

using Fusion = BatchNormFusion;
constexpr int kThreads = ChannelBlock::kThreads;
constexpr int kRows = ChannelTiles::kRows;

/// g of one element: what dy leaves of itself behind the relu. y has a value only for kAddRelu.
template <Fusion fusion, int Lanes, class T>
__device__ float through_relu(const Affine<Lanes>& f, int lane, float x, const T& y, float dy) {
  if constexpr (fusion == Fusion::kNone) return dy;
  if constexpr (fusion == Fusion::kAddRelu) return Relu::backward(static_cast<float>(y), dy);
  return Relu::backward(f(lane, x), dy);
}

/// Of one channel in one stripe: of g and of g (x - mean).
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

/// What the sums make of dx = (g - g_mean) scale - (x - mean) slope.
struct Slopes {
  float* g_mean;
  float* slope;
};

/// One warp a channel. dgamma and dbeta may be null; share is 1 / M, or 0 where mean and variance
/// are constants.
__global__ void join_sums(ChannelTiles tiles, Scaling scaling, double share, const Sums* partials,
                          float* dgamma, float* dbeta, Slopes slopes) {
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
  const double inverse = scaling.inverse_std[channel];
  if (dbeta != nullptr) dbeta[channel] = static_cast<float>(sums.g);
  if (dgamma != nullptr) dgamma[channel] = static_cast<float>(sums.gx * inverse);
  slopes.g_mean[channel] = static_cast<float>(sums.g * share);
  slopes.slope[channel] =
      static_cast<float>(sums.gx * share * inverse * inverse * (scaling.gamma[channel] * inverse));
}

template <Fusion fusion, class T, int Lanes>
__global__ void __launch_bounds__(kThreads, 2)
    write_dx(ChannelTiles tiles, Scaling scaling, Slopes slopes, const T* x, const T* y,
             const T* dy, T* dx) {
  const std::int64_t channel = channel_of_thread<Lanes>();
  if (channel >= tiles.channels) return;
  const Affine<Lanes> f(scaling, channel);
  float g_mean[Lanes];
  float slope[Lanes];
  load_coefficients<Lanes>(slopes.g_mean + channel, g_mean);
  load_coefficients<Lanes>(slopes.slope + channel, slope);
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
        down.lane[l] = T((g - g_mean[l]) * f.scale[l] - (value - f.mean[l]) * slope[l]);
      }
      rows.store(dx, r, down);
    }
  }
}

template <Fusion fusion, class T, int Lanes>
void backward(bool training, const Tensor& x, const BatchNormScaling& scaling, const Tensor& y,
              const Tensor& dy, const BatchNormGradients& gradients) {
  const Context& gpu = context(x.device());
  const ChannelTiles tiles(x, Lanes);
  const Tensor partials = make_partials<Sums>(tiles, x.device());
  auto* const sums = static_cast<Sums*>(partials.raw());
  const MemoryScope scope(MemoryUse::kWorkspace);
  const Tensor storage = Tensor::empty({2, tiles.channels}, DType::kF32, x.device());
  const Slopes slopes{storage.data<float>(), storage.data<float>() + tiles.channels};

  const T* const from = x.data<T>();
  const T* const saved = data_or_null<T>(y);
  T* const dresidual = data_or_null<T>(gradients.dresidual);
  launch(gpu, tiles.grid(), sum_gradients<fusion, T, Lanes>, tiles, Scaling(scaling), from, saved,
         dy.data<T>(), dresidual, sums);
  launch(gpu, warp_per_channel(tiles.channels), join_sums, tiles, Scaling(scaling),
         training ? 1 / static_cast<double>(tiles.rows) : 0.0, sums,
         data_or_null<float>(gradients.dgamma), data_or_null<float>(gradients.dbeta), slopes);
  if (!gradients.dx.defined()) return;
  if (dresidual != nullptr) {
    launch(gpu, tiles.grid(), write_dx<Fusion::kNone, T, Lanes>, tiles, Scaling(scaling), slopes,
           from, saved, dresidual, gradients.dx.data<T>());
  } else {
    launch(gpu, tiles.grid(), write_dx<fusion, T, Lanes>, tiles, Scaling(scaling), slopes, from,
           saved, dy.data<T>(), gradients.dx.data<T>());
  }
}

}  // namespace

void batch_norm_backward(Fusion fusion, bool training, const Tensor& x,
                         const BatchNormScaling& scaling, const Tensor& y, const Tensor& dy,
                         const BatchNormGradients& gradients) {
  if (x.numel() == 0) {
    for (const Tensor& sum : {gradients.dgamma, gradients.dbeta}) {
      if (sum.defined()) sum.zero();
    }
    return;
  }
  dispatch_floating(x.dtype(), "batch_norm", [&]<class T>(T) {
    dispatch_fusion(fusion, [&](auto constant) {
      dispatch_lanes<T>(x.dim(-1),
                        {x, y, dy, gradients.dx, gradients.dresidual, scaling.mean,
                         scaling.inverse_std, scaling.gamma, scaling.beta},
                        [&](auto lanes) {
                          backward<constant, T, lanes>(training, x, scaling, y, dy, gradients);
                        });
    });
  });
}

}  // namespace invp::cuda
