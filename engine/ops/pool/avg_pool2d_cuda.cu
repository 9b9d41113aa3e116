// A block takes a row of one image and a slice of its channels, a thread 16 bytes of the channels
// of a pixel. Tall windows, as in global pooling, are split by rows among the threads of a block,
// because their few outputs do not keep a GPU busy. Into how many parts follows from the shape
// alone.
#include "engine/ops/basic/channel_lanes_cuda.cuh"
#include "engine/ops/pool/avg_pool2d.h"

namespace invp::cuda {

namespace {

constexpr int kThreads = ChannelBlock::kThreads;
constexpr std::int64_t kTall = 4;  // rows from which a window is split
constexpr int kSplits = 8;
constexpr int kColumns = 4;  // loads under way at once

/// Adaptive windows that tile the axis are those of a fixed kernel, whose bounds take no division.
PoolAxis simplest(PoolAxis axis) {
  if (axis.adaptive && axis.in % axis.out == 0) {
    axis.adaptive = false;
    axis.kernel = axis.stride = axis.in / axis.out;
  }
  return axis;
}

/// The axis as it is, or one of which the compiler knows that its windows are fixed.
template <bool kAdaptive>
__device__ PoolAxis constant_axis(PoolAxis axis) {
  if constexpr (!kAdaptive) axis.adaptive = false;
  return axis;
}

/// What the window of output o is divided by, along this axis.
__device__ std::int64_t divisor(const PoolAxis& axis, std::int64_t o) {
  return axis.adaptive ? axis.end(o) - axis.begin(o) : axis.kernel;
}

/// total += columns [begin, end) of a row.
template <int Lanes, class T>
__device__ void add_columns(const T* row, std::int64_t begin, std::int64_t end,
                            std::int64_t channels, float (&total)[Lanes]) {
  for (std::int64_t first = begin; first < end; first += kColumns) {
    Pack<T, Lanes> pixels[kColumns];
#pragma unroll
    for (int i = 0; i < kColumns; ++i) {
      if (first + i < end) pixels[i] = load<Lanes>(row + (first + i) * channels);
    }
#pragma unroll
    for (int i = 0; i < kColumns; ++i) {
      if (first + i >= end) break;
#pragma unroll
      for (int l = 0; l < Lanes; ++l) total[l] += static_cast<float>(pixels[i].lane[l]);
    }
  }
}

/// Adds the totals of the other threads with this threadIdx.x and y, in the order of their z, to
/// that of z = 0. All threads of the block must call.
template <int Lanes>
__device__ void join_splits(float (&total)[Lanes]) {
  __shared__ float totals[Lanes][kThreads];
  const unsigned plane = blockDim.x * blockDim.y;
  const unsigned thread = threadIdx.y * blockDim.x + threadIdx.x;
  __syncthreads();  // the last call's readers are done
#pragma unroll
  for (int l = 0; l < Lanes; ++l) totals[l][threadIdx.z * plane + thread] = total[l];
  __syncthreads();
  if (threadIdx.z > 0) return;
  for (unsigned z = 1; z < blockDim.z; ++z) {
#pragma unroll
    for (int l = 0; l < Lanes; ++l) total[l] += totals[l][z * plane + thread];
  }
}

template <bool kAdaptive, class T, int Lanes>
__global__ void __launch_bounds__(kThreads) average(PoolAxis rows_of_any, PoolAxis columns_of_any,
                                                    std::int64_t channels, const T* x, T* y) {
  const PoolAxis rows = constant_axis<kAdaptive>(rows_of_any);
  const PoolAxis columns = constant_axis<kAdaptive>(columns_of_any);
  const std::int64_t channel = channel_of_thread<Lanes>();
  const std::int64_t p = blockIdx.x % rows.out;
  const T* const image = x + blockIdx.x / rows.out * rows.in * columns.in * channels + channel;
  for (std::int64_t first = 0; first < columns.out; first += blockDim.y) {
    const std::int64_t q = first + threadIdx.y;
    const bool inside = channel < channels && q < columns.out;
    float total[Lanes] = {};
    if (inside) {
      for (std::int64_t h = rows.begin(p) + threadIdx.z; h < rows.end(p); h += blockDim.z) {
        add_columns(image + h * columns.in * channels, columns.begin(q), columns.end(q), channels,
                    total);
      }
    }
    if (blockDim.z > 1) join_splits(total);
    if (!inside || threadIdx.z > 0) continue;
    const float scale = 1 / static_cast<float>(divisor(rows, p) * divisor(columns, q));
    Pack<T, Lanes> out;
#pragma unroll
    for (int l = 0; l < Lanes; ++l) out.lane[l] = T(total[l] * scale);
    store<Lanes>(y + (blockIdx.x * columns.out + q) * channels + channel, out);
  }
}

template <bool kAdaptive, class T, int Lanes>
__global__ void __launch_bounds__(kThreads) spread(PoolAxis rows_of_any, PoolAxis columns_of_any,
                                                   std::int64_t channels, const T* dy, T* dx) {
  const PoolAxis rows = constant_axis<kAdaptive>(rows_of_any);
  const PoolAxis columns = constant_axis<kAdaptive>(columns_of_any);
  const std::int64_t channel = channel_of_thread<Lanes>();
  if (channel >= channels) return;
  const std::int64_t h = blockIdx.x % rows.in;
  const T* const image = dy + blockIdx.x / rows.in * rows.out * columns.out * channels + channel;
  for (std::int64_t w = threadIdx.y; w < columns.in; w += blockDim.y) {
    float total[Lanes] = {};
    const std::int64_t last_p = rows.last(h);
    const std::int64_t last_q = columns.last(w);
#pragma unroll 1
    for (std::int64_t p = rows.first(h); p < last_p; ++p) {
      const std::int64_t height = divisor(rows, p);
#pragma unroll 1
      for (std::int64_t q = columns.first(w); q < last_q; ++q) {
        const float scale = 1 / static_cast<float>(height * divisor(columns, q));
        const Pack<T, Lanes> up = load<Lanes>(image + (p * columns.out + q) * channels);
#pragma unroll
        for (int l = 0; l < Lanes; ++l) {
          total[l] = fmaf(static_cast<float>(up.lane[l]), scale, total[l]);
        }
      }
    }
    Pack<T, Lanes> down;
#pragma unroll
    for (int l = 0; l < Lanes; ++l) down.lane[l] = T(total[l]);
    store<Lanes>(dx + (blockIdx.x * columns.in + w) * channels + channel, down);
  }
}

/// Calls body(adaptive, Lanes) with constants.
template <class T, class Body>
void dispatch_windows(const PoolAxis& rows, const PoolAxis& columns, std::int64_t channels,
                      std::initializer_list<Tensor> tensors, const Body& body) {
  dispatch_lanes<T>(channels, tensors, [&](auto lanes) {
    if (rows.adaptive || columns.adaptive) {
      body(std::true_type(), lanes);
    } else {
      body(std::false_type(), lanes);
    }
  });
}

}  // namespace

void avg_pool2d_forward(const PoolAxis& any_rows, const PoolAxis& any_columns, const Tensor& x,
                        const Tensor& y) {
  if (y.numel() == 0) return;
  const Context& gpu = context(x.device());
  const PoolAxis rows = simplest(any_rows);
  const PoolAxis columns = simplest(any_columns);
  const std::int64_t channels = x.dim(3);
  const std::int64_t window = rows.adaptive ? rows.in / rows.out : rows.kernel;
  dispatch_floating(x.dtype(), "avg_pool2d", [&]<class T>(T) {
    dispatch_windows<T>(rows, columns, channels, {x, y}, [&](auto adaptive, auto lanes) {
      Grid grid = ChannelBlock(channels, lanes).grid(x.dim(0) * rows.out);
      if (window >= kTall) {
        grid.threads.y /= kSplits;
        grid.threads.z = kSplits;
      }
      launch(gpu, grid, average<adaptive, T, lanes>, rows, columns, channels, x.data<T>(),
             y.data<T>());
    });
  });
}

void avg_pool2d_backward(const PoolAxis& any_rows, const PoolAxis& any_columns, const Tensor& dy,
                         const Tensor& dx) {
  if (dx.numel() == 0) return;
  const Context& gpu = context(dx.device());
  const PoolAxis rows = simplest(any_rows);
  const PoolAxis columns = simplest(any_columns);
  const std::int64_t channels = dx.dim(3);
  dispatch_floating(dx.dtype(), "avg_pool2d", [&]<class T>(T) {
    dispatch_windows<T>(rows, columns, channels, {dy, dx}, [&](auto adaptive, auto lanes) {
      launch(gpu, ChannelBlock(channels, lanes).grid(dx.dim(0) * rows.in),
             spread<adaptive, T, lanes>, rows, columns, channels, dy.data<T>(), dx.data<T>());
    });
  });
}

}  // namespace invp::cuda
