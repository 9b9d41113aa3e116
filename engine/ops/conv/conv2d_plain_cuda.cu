#include "engine/core/cuda_launch.cuh"
#include "engine/ops/basic/elementwise.h"
#include "engine/ops/conv/conv2d_plain_cuda.h"

namespace invp::cuda {

namespace {

/// Where element i of an image tensor lies.
struct Place {
  std::int64_t n, row, column, channel;

  __device__ Place(std::int64_t i, std::int64_t rows, std::int64_t columns, std::int64_t channels)
      : n(i / channels / columns / rows),
        row(i / channels / columns % rows),
        column(i / channels % columns),
        channel(i % channels) {}
};

/// The row or column of the images that output `out` reads through tap `tap` of the window. Outside
/// the image where that is padding.
__device__ std::int64_t input_at(const Conv2dParams& params, std::int64_t out, std::int64_t tap) {
  return out * params.stride - params.padding + tap * params.dilation;
}

/// The output, of `extent`, that reads row or column `in` through tap `tap`; -1 if none does.
__device__ std::int64_t output_at(const Conv2dParams& params, std::int64_t in, std::int64_t tap,
                                  std::int64_t extent) {
  const std::int64_t reach = in + params.padding - tap * params.dilation;
  if (reach < 0 || reach % params.stride != 0) return -1;
  const std::int64_t out = reach / params.stride;
  return out < extent ? out : -1;
}

template <class T>
__global__ void forward_elements(Conv2dShape s, const T* x, const T* w, const float* b, T* y,
                                 Conv2dFusion fusion) {
  const std::int64_t group_in = s.C / s.params.groups;
  const std::int64_t group_out = s.K / s.params.groups;
  const std::int64_t count = s.N * s.P * s.Q * s.K;
  for (std::int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) {
    const Place at(i, s.P, s.Q, s.K);
    const T* const group = x + at.channel / group_out * group_in;
    float sum = 0;
    for (std::int64_t r = 0; r < s.R; ++r) {
      const std::int64_t row = input_at(s.params, at.row, r);
      if (row < 0 || row >= s.H) continue;
      for (std::int64_t t = 0; t < s.S; ++t) {
        const std::int64_t column = input_at(s.params, at.column, t);
        if (column < 0 || column >= s.W) continue;
        const T* const pixel = group + ((at.n * s.H + row) * s.W + column) * s.C;
        const T* const tap = w + ((at.channel * s.R + r) * s.S + t) * group_in;
        for (std::int64_t c = 0; c < group_in; ++c) {
          sum += static_cast<float>(pixel[c]) * static_cast<float>(tap[c]);
        }
      }
    }
    if (b != nullptr) sum += b[at.channel];
    if (fusion.add) sum += static_cast<float>(y[i]);
    y[i] = T(fusion.relu ? Relu::forward(sum) : sum);
  }
}

/// Lanes divide the channels.
template <class T, int Lanes>
__global__ void finish_elements(std::int64_t count, std::int64_t channels, const T* sum,
                                const float* b, Conv2dFusion fusion, T* y) {
  using Lane = Pack<T, Lanes>;
  for (std::int64_t i = thread_in_grid(); i < count / Lanes; i += threads_in_grid()) {
    const Lane in = reinterpret_cast<const Lane*>(sum)[i];
    const Lane old = fusion.add ? reinterpret_cast<const Lane*>(y)[i] : Lane{};
    Lane out;
    for (int l = 0; l < Lanes; ++l) {
      float value = static_cast<float>(in.lane[l]) + static_cast<float>(old.lane[l]);
      if (b != nullptr) value += b[(i * Lanes + l) % channels];
      out.lane[l] = T(fusion.relu ? Relu::forward(value) : value);
    }
    reinterpret_cast<Lane*>(y)[i] = out;
  }
}

template <class T>
__global__ void backward_input_elements(Conv2dShape s, const T* dy, const T* w, T* dx) {
  const std::int64_t group_in = s.C / s.params.groups;
  const std::int64_t group_out = s.K / s.params.groups;
  const std::int64_t filter = s.R * s.S * group_in;
  const std::int64_t count = s.N * s.H * s.W * s.C;
  for (std::int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) {
    const Place at(i, s.H, s.W, s.C);
    const std::int64_t first = at.channel / group_in * group_out;  // filter of the group
    float sum = 0;
    for (std::int64_t r = 0; r < s.R; ++r) {
      const std::int64_t p = output_at(s.params, at.row, r, s.P);
      if (p < 0) continue;
      for (std::int64_t t = 0; t < s.S; ++t) {
        const std::int64_t q = output_at(s.params, at.column, t, s.Q);
        if (q < 0) continue;
        const T* const outputs = dy + ((at.n * s.P + p) * s.Q + q) * s.K + first;
        const T* const taps = w + first * filter + (r * s.S + t) * group_in + at.channel % group_in;
        for (std::int64_t k = 0; k < group_out; ++k) {
          sum += static_cast<float>(outputs[k]) * static_cast<float>(taps[k * filter]);
        }
      }
    }
    dx[i] = T(sum);
  }
}

/// partial[part, k, r, t, c]: the sum over the part's share of the N * P rows of outputs.
template <class T>
__global__ void backward_weight_parts(Conv2dShape s, const T* dy, const T* x, std::int64_t parts,
                                      float* partial) {
  const std::int64_t group_in = s.C / s.params.groups;
  const std::int64_t group_out = s.K / s.params.groups;
  const std::int64_t weights = s.K * s.R * s.S * group_in;
  for (std::int64_t i = thread_in_grid(); i < parts * weights; i += threads_in_grid()) {
    const Place at(i % weights, s.R, s.S, group_in);  // n is the filter, row and column its tap
    const T* const channel = x + at.n / group_out * group_in + at.channel;
    const std::int64_t part = i / weights;
    const std::int64_t end = s.N * s.P * (part + 1) / parts;
    float sum = 0;
    for (std::int64_t np = s.N * s.P * part / parts; np < end; ++np) {
      const std::int64_t row = input_at(s.params, np % s.P, at.row);
      if (row < 0 || row >= s.H) continue;
      for (std::int64_t q = 0; q < s.Q; ++q) {
        const std::int64_t column = input_at(s.params, q, at.column);
        if (column < 0 || column >= s.W) continue;
        sum += static_cast<float>(dy[(np * s.Q + q) * s.K + at.n]) *
               static_cast<float>(channel[((np / s.P * s.H + row) * s.W + column) * s.C]);
      }
    }
    partial[i] = sum;
  }
}

template <class T>
__global__ void add_parts(std::int64_t weights, std::int64_t parts, const float* partial, T* dw) {
  for (std::int64_t i = thread_in_grid(); i < weights; i += threads_in_grid()) {
    float sum = 0;
    for (std::int64_t part = 0; part < parts; ++part) sum += partial[part * weights + i];
    dw[i] = T(sum);
  }
}

template <class T>
const T* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.data<T>() : nullptr;
}

}  // namespace

void plain_forward(const Conv2dShape& s, const Tensor& x, const Tensor& w, const Tensor& b,
                   const Tensor& y, Conv2dFusion fusion) {
  if (y.numel() == 0) return;
  const Context& gpu = context(y.device());
  dispatch_floating(y.dtype(), "conv2d", [&]<class T>(T) {
    launch(gpu, grid_for(gpu, y.numel()), forward_elements<T>, s, x.data<T>(), w.data<T>(),
           data_or_null<float>(b), y.data<T>(), fusion);
  });
}

void finish_forward(const Tensor& sum, const Tensor& b, Conv2dFusion fusion, const Tensor& y) {
  if (y.numel() == 0) return;
  const Context& gpu = context(y.device());
  dispatch_floating(y.dtype(), "conv2d", [&]<class T>(T) {
    const auto run = [&]<int Lanes>(std::integral_constant<int, Lanes>) {
      launch(gpu, grid_for(gpu, y.numel(), Lanes), finish_elements<T, Lanes>, y.numel(), y.dim(-1),
             sum.data<T>(), data_or_null<float>(b), fusion, y.data<T>());
    };
    const auto addresses =
        reinterpret_cast<std::uintptr_t>(sum.raw()) | reinterpret_cast<std::uintptr_t>(y.raw());
    if (addresses % 16 == 0 && y.dim(-1) % kPackLanes<T> == 0) {
      run(std::integral_constant<int, kPackLanes<T>>());
    } else {
      run(std::integral_constant<int, 1>());
    }
  });
}

void plain_backward_input(const Conv2dShape& s, const Tensor& dy, const Tensor& w,
                          const Tensor& dx) {
  if (dx.numel() == 0) return;
  const Context& gpu = context(dx.device());
  dispatch_floating(dx.dtype(), "conv2d", [&]<class T>(T) {
    launch(gpu, grid_for(gpu, dx.numel()), backward_input_elements<T>, s, dy.data<T>(), w.data<T>(),
           dx.data<T>());
  });
}

void plain_backward_weight(const Conv2dShape& s, const Tensor& dy, const Tensor& x,
                           const Tensor& dw) {
  if (dw.numel() == 0) return;
  const Context& gpu = context(dw.device());
  // Enough sums to keep the largest GPU busy, on every GPU: another number of parts would round
  // differently.
  constexpr std::int64_t kSums = 1 << 18;
  const std::int64_t parts =
      std::clamp<std::int64_t>(kSums / dw.numel(), 1, std::max<std::int64_t>(s.N * s.P, 1));
  const Tensor partial = [&] {
    const MemoryScope scope(MemoryUse::kWorkspace);
    return Tensor::empty({parts, dw.numel()}, DType::kF32, dw.device());
  }();
  dispatch_floating(dw.dtype(), "conv2d", [&]<class T>(T) {
    launch(gpu, grid_for(gpu, partial.numel()), backward_weight_parts<T>, s, dy.data<T>(),
           x.data<T>(), parts, partial.data<float>());
    launch(gpu, grid_for(gpu, dw.numel()), add_parts<T>, dw.numel(), parts, partial.data<float>(),
           dw.data<T>());
  });
}

}  // namespace invp::cuda
