// How kernels share the channels of a pixel among threads. A thread has as many neighboring
// channels as 16 bytes hold, its lanes, if the number of channels and the pointers allow; else one.
// Lanes is a template argument, so that kernels are written once for both.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <type_traits>

#include "engine/core/cuda_launch.cuh"
#include "engine/core/tensor.h"

namespace invp::cuda {

/// Calls body(std::integral_constant<int, Lanes>()) for elements of type T. `tensors`: all whose
/// channels will be read or written; undefined ones are ignored.
template <class T, class Body>
void dispatch_lanes(std::int64_t channels, std::initializer_list<Tensor> tensors,
                    const Body& body) {
  const auto aligned = [](const Tensor& tensor) {
    return !tensor.defined() || reinterpret_cast<std::uintptr_t>(tensor.raw()) % 16 == 0;
  };
  if (channels % kPackLanes<T> == 0 && std::all_of(tensors.begin(), tensors.end(), aligned)) {
    body(std::integral_constant<int, kPackLanes<T>>());
  } else {
    body(std::integral_constant<int, 1>());
  }
}

/// A block of `width` threads along the channels and `height` along the pixels; `slices` such
/// widths cover the channels. A warp reads whole pixels if they are small, else 512 bytes of one.
struct ChannelBlock {
  static constexpr int kThreads = 256;

  ChannelBlock(std::int64_t channels, int lanes) {
    const std::int64_t across = (channels + lanes - 1) / lanes;
    slices = std::max<std::int64_t>((across + kWarp - 1) / kWarp, 1);
    width = static_cast<int>(std::max<std::int64_t>((across + slices - 1) / slices, 1));
    height = kThreads / width;
  }

  /// `count` times all slices.
  Grid grid(std::int64_t count) const {
    return {.blocks = dim3(static_cast<unsigned>(count), static_cast<unsigned>(slices)),
            .threads = dim3(static_cast<unsigned>(width), static_cast<unsigned>(height))};
  }

  std::int64_t slices;
  int width;
  int height;
};

/// The first channel of this thread; blockIdx.y counts the slices. It may lie beyond the last
/// channel.
template <int Lanes>
__device__ std::int64_t channel_of_thread() {
  return (static_cast<std::int64_t>(blockIdx.y) * blockDim.x + threadIdx.x) * Lanes;
}

template <int Lanes, class T>
__device__ Pack<T, Lanes> load(const T* from) {
  return *reinterpret_cast<const Pack<T, Lanes>*>(from);
}
template <int Lanes, class T>
__device__ void store(T* to, const Pack<T, Lanes>& pack) {
  *reinterpret_cast<Pack<T, Lanes>*>(to) = pack;
}

/// As load(), for f32 coefficients of channels of a narrower type: 16 bytes at a time.
template <int Lanes>
__device__ void load_coefficients(const float* from, float (&to)[Lanes]) {
  constexpr int kPiece = Lanes < 4 ? Lanes : 4;
#pragma unroll
  for (int first = 0; first < Lanes; first += kPiece) {
    const Pack<float, kPiece> piece = load<kPiece>(from + first);
#pragma unroll
    for (int l = 0; l < kPiece; ++l) to[first + l] = piece.lane[l];
  }
}

}  // namespace invp::cuda
