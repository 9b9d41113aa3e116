// y[i] = f(inputs[i]...) on the GPU for operations whose arithmetic is a function of floats: 16
// bytes per access, several accesses of a thread under way at once.
#pragma once

#include <algorithm>
#include <type_traits>

#include "engine/core/cuda_launch.cuh"
#include "engine/core/tensor.h"

namespace invp::cuda {

/// How many packs a thread reads before it writes one: enough to hide the memory's latency.
inline constexpr int kPacksUnderWay = 4;

template <int Lanes, class Function, class Y, class... Inputs>
__global__ void map_elements(std::int64_t count, Function function, Y* y, const Inputs*... inputs) {
  const std::int64_t packs = count / Lanes;
  const std::int64_t stride = threads_in_grid() * kPacksUnderWay;
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.x) * blockDim.x * kPacksUnderWay;
  const auto apply = [&](Pack<Inputs, Lanes>... in) {  // by value: whole packs are loaded
    Pack<Y, Lanes> out;
#pragma unroll
    for (int l = 0; l < Lanes; ++l) out.lane[l] = Y(function(static_cast<float>(in.lane[l])...));
    return out;
  };
  for (std::int64_t first = begin + threadIdx.x; first < packs; first += stride) {
    Pack<Y, Lanes> out[kPacksUnderWay];
#pragma unroll
    for (int p = 0; p < kPacksUnderWay; ++p) {
      const std::int64_t i = first + p * static_cast<std::int64_t>(blockDim.x);
      if (i < packs) out[p] = apply(reinterpret_cast<const Pack<Inputs, Lanes>*>(inputs)[i]...);
    }
#pragma unroll
    for (int p = 0; p < kPacksUnderWay; ++p) {
      const std::int64_t i = first + p * static_cast<std::int64_t>(blockDim.x);
      if (i < packs) reinterpret_cast<Pack<Y, Lanes>*>(y)[i] = out[p];
    }
  }
  for (std::int64_t i = packs * Lanes + thread_in_grid(); i < count; i += threads_in_grid()) {
    y[i] = Y(function(static_cast<float>(inputs[i])...));
  }
}

/// True if all of these can be read in accesses of 16 bytes: a slice may begin anywhere.
template <class... Tensors>
bool aligned(const Tensors&... tensors) {
  return ((reinterpret_cast<std::uintptr_t>(tensors.raw()) | ...) % 16) == 0;
}

/// y[i] = function(inputs[i]...), y of Y and the inputs of Inputs. y may be one of the inputs.
template <class Y, class... Inputs, class Function, class... Tensors>
void map_as(const Function& function, const Tensor& y, const Tensors&... inputs) {
  static_assert(sizeof...(Inputs) == sizeof...(Tensors));
  if (y.numel() == 0) return;
  const Context& gpu = context(y.device());
  const auto run = [&]<int Lanes>(std::integral_constant<int, Lanes>) {
    launch(gpu, grid_for(gpu, y.numel(), Lanes * kPacksUnderWay),
           map_elements<Lanes, Function, Y, Inputs...>, y.numel(), function, y.data<Y>(),
           inputs.template data<Inputs>()...);
  };
  if (aligned(y, inputs...)) {
    run(std::integral_constant<int, std::min({kPackLanes<Y>, kPackLanes<Inputs>...})>());
  } else {
    run(std::integral_constant<int, 1>());
  }
}

/// kFunction as a functor.
template <auto kFunction>
struct Call {
  template <class... Floats>
  __device__ float operator()(Floats... x) const {
    return kFunction(x...);
  }
};

/// y[i] = kFunction(inputs[i]...), all of one dtype.
template <auto kFunction, class... Tensors>
void map(const char* op, const Tensor& y, const Tensors&... inputs) {
  dispatch_floating(y.dtype(), op, [&]<class T>(T) {
    map_as<T, std::conditional_t<true, T, Tensors>...>(Call<kFunction>{}, y, inputs...);
  });
}

}  // namespace invp::cuda
