// A block takes a row of one image and a slice of its channels, a thread 16 bytes of the channels
// of a pixel. Backward gathers: each input checks in which of the few windows around it it was the
// maximum, without zeroing and without atomics. Windows of 3 with stride 2, as in every residual
// network's stem, are compiled with these constants, which saves loops and divisions.
#include <limits>

#include "engine/ops/basic/channel_lanes_cuda.cuh"
#include "engine/ops/pool/max_pool2d.h"

namespace invp::cuda {

namespace {

constexpr int kThreads = ChannelBlock::kThreads;

/// The axis with its kernel and stride known to the compiler, or, of kernel 0, as it is.
template <int kKernel, int kStride>
__device__ PoolAxis constant_axis(PoolAxis axis) {
  axis.adaptive = false;
  if constexpr (kKernel > 0) {
    axis.kernel = kKernel;
    axis.stride = kStride;
  }
  return axis;
}

/// The largest value of each channel so far and the number of its tap.
template <int Lanes>
struct Maxima {
  __device__ explicit Maxima(int first_tap) {
#pragma unroll
    for (int l = 0; l < Lanes; ++l) {
      best[l] = -std::numeric_limits<float>::infinity();
      winner[l] = first_tap;
    }
  }
  template <class T>
  __device__ void take(const Pack<T, Lanes>& pixel, int tap) {
#pragma unroll
    for (int l = 0; l < Lanes; ++l) {
      const auto value = static_cast<float>(pixel.lane[l]);
      const bool wins = value > best[l] || value != value;
      best[l] = wins ? value : best[l];
      winner[l] = wins ? tap : winner[l];
    }
  }
  template <class T>
  __device__ void write(T* y, std::uint8_t* tap) const {
    Pack<T, Lanes> values;
    Pack<std::uint8_t, Lanes> taps;
#pragma unroll
    for (int l = 0; l < Lanes; ++l) {
      values.lane[l] = T(best[l]);
      taps.lane[l] = static_cast<std::uint8_t>(winner[l]);
    }
    store<Lanes>(y, values);
    store<Lanes>(tap, taps);
  }
  float best[Lanes];
  int winner[Lanes];
};

template <class T, int Lanes, int kKernel, int kStride>
__global__ void __launch_bounds__(kThreads)
    choose_maxima(PoolAxis rows_of_any, PoolAxis columns_of_any, std::int64_t channels, const T* x,
                  T* y, std::uint8_t* tap) {
  constexpr int kTaps = kKernel > 0 ? kKernel : 4;  // of one row: that many loads are under way
  const std::int64_t channel = channel_of_thread<Lanes>();
  if (channel >= channels) return;
  const PoolAxis rows = constant_axis<kKernel, kStride>(rows_of_any);
  const PoolAxis columns = constant_axis<kKernel, kStride>(columns_of_any);
  const std::int64_t p = blockIdx.x % rows.out;
  const T* const image = x + blockIdx.x / rows.out * rows.in * columns.in * channels + channel;
  const std::int64_t top = p * rows.stride - rows.padding;
  for (std::int64_t q = threadIdx.y; q < columns.out; q += blockDim.y) {
    const std::int64_t left = q * columns.stride - columns.padding;
    const auto inside = [&](int s) {
      return s < columns.kernel && left + s >= 0 && left + s < columns.in;
    };
    // In a window of nothing but minus infinity the first tap inside x is the maximum.
    Maxima<Lanes> maxima(
        static_cast<int>((rows.begin(p) - top) * columns.kernel + columns.begin(q) - left));
#pragma unroll
    for (int r = 0; r < rows.kernel; ++r) {
      const std::int64_t h = top + r;
      if (h < 0 || h >= rows.in) continue;
      const T* const row = image + h * columns.in * channels;
      for (int first_s = 0; first_s < columns.kernel; first_s += kTaps) {
        Pack<T, Lanes> pixels[kTaps];
#pragma unroll
        for (int i = 0; i < kTaps; ++i) {
          if (inside(first_s + i)) pixels[i] = load<Lanes>(row + (left + first_s + i) * channels);
        }
#pragma unroll
        for (int i = 0; i < kTaps; ++i) {
          const int s = first_s + i;
          if (inside(s)) maxima.take(pixels[i], r * static_cast<int>(columns.kernel) + s);
        }
      }
    }
    const std::int64_t at = (blockIdx.x * columns.out + q) * channels + channel;
    maxima.write(y + at, tap + at);
  }
}

template <class T, int Lanes, int kKernel, int kStride>
__global__ void __launch_bounds__(kThreads)
    collect_gradients(PoolAxis rows_of_any, PoolAxis columns_of_any, std::int64_t channels,
                      const std::uint8_t* tap, const T* dy, T* dx) {
  constexpr int kWindows = 2;  // of one row: that many loads of each tensor are under way
  const std::int64_t channel = channel_of_thread<Lanes>();
  if (channel >= channels) return;
  const PoolAxis rows = constant_axis<kKernel, kStride>(rows_of_any);
  const PoolAxis columns = constant_axis<kKernel, kStride>(columns_of_any);
  const std::int64_t h = blockIdx.x % rows.in;
  const std::int64_t image = blockIdx.x / rows.in * rows.out * columns.out * channels + channel;
  for (std::int64_t w = threadIdx.y; w < columns.in; w += blockDim.y) {
    float total[Lanes] = {};
    const std::int64_t last_q = columns.last(w);
#pragma unroll 1
    for (std::int64_t p = rows.first(h); p < rows.last(h); ++p) {
      const std::int64_t r = h - (p * rows.stride - rows.padding);
      const std::int64_t row = image + p * columns.out * channels;
#pragma unroll 1
      for (std::int64_t first_q = columns.first(w); first_q < last_q; first_q += kWindows) {
        Pack<std::uint8_t, Lanes> taps[kWindows];
        Pack<T, Lanes> up[kWindows];
#pragma unroll
        for (int i = 0; i < kWindows; ++i) {
          if (first_q + i >= last_q) break;
          taps[i] = load<Lanes>(tap + row + (first_q + i) * channels);
          up[i] = load<Lanes>(dy + row + (first_q + i) * channels);
        }
#pragma unroll
        for (int i = 0; i < kWindows; ++i) {
          if (first_q + i >= last_q) break;
          const std::int64_t s = w - ((first_q + i) * columns.stride - columns.padding);
          const auto number = static_cast<int>(r * columns.kernel + s);
#pragma unroll
          for (int l = 0; l < Lanes; ++l) {
            total[l] += taps[i].lane[l] == number ? static_cast<float>(up[i].lane[l]) : 0.0F;
          }
        }
      }
    }
    Pack<T, Lanes> down;
#pragma unroll
    for (int l = 0; l < Lanes; ++l) down.lane[l] = T(total[l]);
    store<Lanes>(dx + (blockIdx.x * columns.in + w) * channels + channel, down);
  }
}

/// Calls body(Lanes, kernel, stride) with constants.
template <class T, class Body>
void dispatch_windows(const PoolAxis& axis, std::int64_t channels,
                      std::initializer_list<Tensor> tensors, const Body& body) {
  dispatch_lanes<T>(channels, tensors, [&](auto lanes) {
    if (axis.kernel == 3 && axis.stride == 2) {
      body(lanes, std::integral_constant<int, 3>(), std::integral_constant<int, 2>());
    } else {
      body(lanes, std::integral_constant<int, 0>(), std::integral_constant<int, 0>());
    }
  });
}

}  // namespace

void max_pool2d_forward(const PoolAxis& rows, const PoolAxis& columns, const Tensor& x,
                        const Tensor& y, const Tensor& tap) {
  if (y.numel() == 0) return;
  const Context& gpu = context(x.device());
  const std::int64_t channels = x.dim(3);
  dispatch_floating(x.dtype(), "max_pool2d", [&]<class T>(T) {
    dispatch_windows<T>(rows, channels, {x, y, tap}, [&](auto lanes, auto kernel, auto stride) {
      launch(gpu, ChannelBlock(channels, lanes).grid(x.dim(0) * rows.out),
             choose_maxima<T, lanes, kernel, stride>, rows, columns, channels, x.data<T>(),
             y.data<T>(), tap.data<std::uint8_t>());
    });
  });
}

void max_pool2d_backward(const PoolAxis& rows, const PoolAxis& columns, const Tensor& tap,
                         const Tensor& dy, const Tensor& dx) {
  if (dx.numel() == 0) return;
  const Context& gpu = context(dx.device());
  const std::int64_t channels = dx.dim(3);
  dispatch_floating(dx.dtype(), "max_pool2d", [&]<class T>(T) {
    dispatch_windows<T>(rows, channels, {tap, dy, dx}, [&](auto lanes, auto kernel, auto stride) {
      launch(gpu, ChannelBlock(channels, lanes).grid(dx.dim(0) * rows.in),
             collect_gradients<T, lanes, kernel, stride>, rows, columns, channels,
             tap.data<std::uint8_t>(), dy.data<T>(), dx.data<T>());
    });
  });
}

}  // namespace invp::cuda
