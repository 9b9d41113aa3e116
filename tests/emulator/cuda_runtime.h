// What NVIDIA's compiler adds to C++, for g++: the words of the language, the built-in variables
// and the functions that kernels call. Kernels run on the CPU, block after block (emulator.h).
#pragma once

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "cuda_runtime_api.h"
#include "emulator.h"

#define __host__
#define __device__
#define __global__
#define __constant__
#define __grid_constant__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)
// All threads of a block are fibers of one thread of the CPU.
#define __shared__ static thread_local

// Of the thread that runs now.
extern thread_local uint3 threadIdx;
extern thread_local uint3 blockIdx;
extern thread_local dim3 blockDim;
extern thread_local dim3 gridDim;

inline void __syncthreads() {
  emulator::block_barrier();
}
inline void __syncwarp(unsigned lanes = 0xFFFFFFFF) {
  emulator::warp_barrier(lanes);
}
inline void __threadfence() {}
inline void __threadfence_block() {}

template <class T>
T __shfl_sync(unsigned lanes, T value, int source, int width = 32) {
  const int lane = emulator::lane();
  return emulator::exchange(lanes, value, lane / width * width + source % width);
}
template <class T>
T __shfl_xor_sync(unsigned lanes, T value, int mask, int width = 32) {
  const int lane = emulator::lane();
  const int source = lane ^ mask;
  return emulator::exchange(lanes, value, source / width == lane / width ? source : lane);
}
template <class T>
T __shfl_down_sync(unsigned lanes, T value, unsigned distance, int width = 32) {
  const int lane = emulator::lane();
  const int source = lane + static_cast<int>(distance);
  return emulator::exchange(lanes, value, source / width == lane / width ? source : lane);
}
template <class T>
T __shfl_up_sync(unsigned lanes, T value, unsigned distance, int width = 32) {
  const int lane = emulator::lane();
  const int source = lane - static_cast<int>(distance);
  return emulator::exchange(lanes, value, source >= lane / width * width ? source : lane);
}
inline unsigned __ballot_sync(unsigned lanes, bool predicate) {
  return emulator::ballot(lanes, predicate);
}
inline bool __any_sync(unsigned lanes, bool predicate) {
  return __ballot_sync(lanes, predicate) != 0;
}
inline bool __all_sync(unsigned lanes, bool predicate) {
  return __ballot_sync(lanes, !predicate) == 0;
}

template <class T>
unsigned __match_any_sync(unsigned lanes, T value) {
  return emulator::match(lanes, value);
}

// One thread runs at a time, so plain updates are atomic.
template <class T>
T atomicAdd(T* to, std::type_identity_t<T> value) {
  const T before = *to;
  *to = before + value;
  return before;
}
template <class T>
T atomicOr(T* to, std::type_identity_t<T> value) {
  const T before = *to;
  *to = before | value;
  return before;
}
template <class T>
T atomicMax(T* to, std::type_identity_t<T> value) {
  const T before = *to;
  *to = before < value ? value : before;
  return before;
}
template <class T>
T atomicMin(T* to, std::type_identity_t<T> value) {
  const T before = *to;
  *to = value < before ? value : before;
  return before;
}
template <class T>
T atomicExch(T* to, std::type_identity_t<T> value) {
  const T before = *to;
  *to = value;
  return before;
}
template <class T>
T atomicCAS(T* to, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  const T before = *to;
  if (before == expected) *to = value;
  return before;
}

template <class T>
T __ldg(const T* from) {
  return *from;
}
inline int __popc(unsigned word) {
  return std::popcount(word);
}
inline int __ffs(int word) {
  return word == 0 ? 0 : std::countr_zero(static_cast<unsigned>(word)) + 1;
}
inline int __ffsll(long long word) {
  return __builtin_ffsll(word);
}
inline int __clz(int word) {
  return std::countl_zero(static_cast<unsigned>(word));
}
inline unsigned __float_as_uint(float value) {
  return std::bit_cast<unsigned>(value);
}
inline float __uint_as_float(unsigned bits) {
  return std::bit_cast<float>(bits);
}
inline float rsqrtf(float value) {
  return 1 / std::sqrt(value);
}

struct cudaLaunchConfig_t {
  dim3 gridDim;
  dim3 blockDim;
  std::size_t dynamicSmemBytes;
  cudaStream_t stream;
  void* attrs;
  unsigned numAttrs;
};

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  if (emulator::must_queue(config->stream)) {
    emulator::queue(config->stream, [config = *config, kernel, ... copies = Parameters(arguments)] {
      emulator::run(config.gridDim, config.blockDim, config.dynamicSmemBytes,
                    [&] { kernel(copies...); });
    });
    return cudaSuccess;
  }
  return emulator::run(config->gridDim, config->blockDim, config->dynamicSmemBytes,
                       [&] { kernel(arguments...); });
}
