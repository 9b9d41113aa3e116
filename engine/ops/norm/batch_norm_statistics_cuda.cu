// Mean and variance of every channel in one pass over x.
//
// A thread sums in f32 around a shift s, the mean of the first rows it reads: D = sum (x - s),
// E = sum (x - s)^2. Its mean is s + D/n and its squared deviations are E - D^2/n. The subtraction
// loses little for any data: s is the mean of k of the values, so by Cauchy-Schwarz
// (s - mean)^2 <= (E - D^2/n) / k, and E is at most 1 + n/k times the difference, n being kept
// short. Threads, then blocks, join in double by the rule of Chan, Golub and LeVeque (1979) for
// many parts at once, always in the same order:
//   mean = sum n_i mean_i / n,  squares = sum (squares_i + n_i (mean_i - mean)^2).
#include <cmath>

#include "engine/core/cuda_reduce.cuh"
#include "engine/ops/norm/batch_norm_cuda.cuh"
#include "engine/ops/norm/channel_tiles_cuda.cuh"

namespace invp::cuda {

namespace {

constexpr int kThreads = ChannelBlock::kThreads;
constexpr int kRows = ChannelTiles::kRows;

/// Moments of one channel in one stripe.
struct alignas(16) Moments {
  double mean;
  float squares;  ///< sum of squared deviations from it
  float count;
};

/// mean is zero before. Of no rows it becomes NaN, which is not read.
template <int Lanes, class T>
__device__ void mean_of_rows(const RowPacks<T, Lanes>& x, int count, float (&mean)[Lanes]) {
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    if (r >= count) break;
#pragma unroll
    for (int l = 0; l < Lanes; ++l) mean[l] += static_cast<float>(x[r].lane[l]);
  }
  const float share = 1 / static_cast<float>(count);
#pragma unroll
  for (int l = 0; l < Lanes; ++l) mean[l] *= share;
}

template <class T, int Lanes>
__global__ void __launch_bounds__(kThreads, 4)
    sum_moments(ChannelTiles tiles, const T* x, Moments* partials) {
  float shift[Lanes] = {};
  float first[Lanes] = {};   // D
  float second[Lanes] = {};  // E
  int count = 0;
  const std::int64_t channel = channel_of_thread<Lanes>();
  if (channel < tiles.channels) {
    for (std::int64_t unit = blockIdx.x; unit < tiles.units; unit += gridDim.x) {
      const UnitRows<Lanes> rows(tiles, unit, channel);
      RowPacks<T, Lanes> in;
      rows.load(x, in);
      if (count == 0) mean_of_rows<Lanes>(in, rows.count(), shift);
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        if (r >= rows.count()) break;
#pragma unroll
        for (int l = 0; l < Lanes; ++l) {
          const float away = static_cast<float>(in[r].lane[l]) - shift[l];
          first[l] += away;
          second[l] = fmaf(away, away, second[l]);
        }
      }
      count += rows.count();
    }
  }

  // The mean as a shift and an offset: their sum would round in f32.
  __shared__ float shifts[Lanes][kThreads];
  __shared__ float offsets[Lanes][kThreads];
  __shared__ float squares[Lanes][kThreads];
  __shared__ float counts[kThreads];
  const unsigned thread = threadIdx.y * blockDim.x + threadIdx.x;
  const float share = 1 / static_cast<float>(count);
  counts[thread] = static_cast<float>(count);
#pragma unroll
  for (int l = 0; l < Lanes; ++l) {
    shifts[l][thread] = shift[l];
    offsets[l][thread] = first[l] * share;
    squares[l][thread] = second[l] - first[l] * (first[l] * share);
  }
  write_partials<Lanes>(tiles, partials, [&](int lane, int column) {
    const auto end = static_cast<int>(blockDim.x * blockDim.y);
    const auto step = static_cast<int>(blockDim.x);
    const auto mean_of = [&](int t) {
      return static_cast<double>(shifts[lane][t]) + static_cast<double>(offsets[lane][t]);
    };
    double total = 0;
    double sum = 0;
    for (int t = column; t < end && counts[t] > 0; t += step) {
      total += counts[t];
      sum += counts[t] * mean_of(t);
    }
    const double mean = sum / total;
    double away_squared = 0;
    for (int t = column; t < end && counts[t] > 0; t += step) {
      const double away = mean_of(t) - mean;
      away_squared += squares[lane][t] + counts[t] * away * away;
    }
    return Moments{mean, static_cast<float>(away_squared), static_cast<float>(total)};
  });
}

/// One warp per channel.
__global__ void join_moments(ChannelTiles tiles, const Moments* partials, BatchNormMoments out) {
  const std::int64_t channel = channel_of_warp();
  if (channel >= tiles.channels) return;
  const Moments* const parts = partials + channel * tiles.stripes;
  const auto lane = static_cast<int>(threadIdx.x) % kWarp;
  const auto count = static_cast<double>(tiles.rows);
  double sum = 0;
  for (std::int64_t s = lane; s < tiles.stripes; s += kWarp) sum += parts[s].count * parts[s].mean;
  const double whole_mean = reduce_warp(sum, Plus()) / count;
  double squares = 0;
  for (std::int64_t s = lane; s < tiles.stripes; s += kWarp) {
    const double away = parts[s].mean - whole_mean;
    squares += parts[s].squares + parts[s].count * away * away;
  }
  squares = reduce_warp(squares, Plus());
  if (lane != 0) return;
  out.count[channel] = count;
  out.mean[channel] = whole_mean;
  out.squares[channel] = squares;
}

/// Where batch_norm_finish writes.
struct Statistics {
  float* mean;
  float* inverse_std;
  float* running_mean;
  float* running_var;
};

__global__ void finish(std::int64_t channels, BatchNormParams params, BatchNormMoments batch,
                       Statistics out) {
  const std::int64_t channel = thread_in_grid();
  if (channel >= channels) return;
  const double momentum = params.momentum;
  const double count = batch.count[channel];
  const double mean = batch.mean[channel];
  const double squares = batch.squares[channel];
  out.mean[channel] = static_cast<float>(mean);
  out.inverse_std[channel] = inverse_std_of(squares / count, params);
  out.running_mean[channel] =
      static_cast<float>((1 - momentum) * out.running_mean[channel] + momentum * mean);
  out.running_var[channel] = static_cast<float>((1 - momentum) * out.running_var[channel] +
                                                momentum * squares / (count - 1));
}

__global__ void take_running(std::int64_t channels, BatchNormParams params,
                             const float* running_mean, const float* running_var, float* mean,
                             float* inverse_std) {
  const std::int64_t channel = thread_in_grid();
  if (channel >= channels) return;
  mean[channel] = running_mean[channel];
  inverse_std[channel] = inverse_std_of(running_var[channel], params);
}

Grid thread_per_channel(std::int64_t channels) {
  return {.blocks = dim3(static_cast<unsigned>((channels + kThreads - 1) / kThreads)),
          .threads = dim3(kThreads)};
}

}  // namespace

void batch_norm_moments(const Tensor& x, const Tensor& moments) {
  const std::int64_t channels = x.dim(-1);
  if (channels == 0) return;
  const Context& gpu = context(x.device());
  dispatch_floating(x.dtype(), "batch_norm", [&]<class T>(T) {
    dispatch_lanes<T>(channels, {x}, [&](auto lanes) {
      const ChannelTiles tiles(x, lanes);
      const Tensor scratch = make_partials<Moments>(tiles, x.device());
      auto* const partials = static_cast<Moments*>(scratch.raw());
      launch(gpu, tiles.grid(), sum_moments<T, lanes>, tiles, x.data<T>(), partials);
      launch(gpu, warp_per_channel(channels), join_moments, tiles, partials,
             BatchNormMoments(moments.data<double>(), channels));
    });
  });
}

void batch_norm_finish(const Tensor& moments, const BatchNormParams& params, const Tensor& mean,
                       const Tensor& inverse_std, const Tensor& running_mean,
                       const Tensor& running_var) {
  const std::int64_t channels = mean.numel();
  if (channels == 0) return;
  launch(context(mean.device()), thread_per_channel(channels), finish, channels, params,
         BatchNormMoments(moments.data<double>(), channels),
         Statistics{.mean = mean.data<float>(),
                    .inverse_std = inverse_std.data<float>(),
                    .running_mean = running_mean.data<float>(),
                    .running_var = running_var.data<float>()});
}

void batch_norm_take_running(const BatchNormParams& params, const Tensor& running_mean,
                             const Tensor& running_var, const Tensor& mean,
                             const Tensor& inverse_std) {
  const std::int64_t channels = mean.numel();
  if (channels == 0) return;
  launch(context(mean.device()), thread_per_channel(channels), take_running, channels, params,
         running_mean.data<float>(), running_var.data<float>(), mean.data<float>(),
         inverse_std.data<float>());
}

}  // namespace invp::cuda
