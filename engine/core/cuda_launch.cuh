// Starts kernels: on the device's one stream, with grids from one function, every call checked.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "engine/core/cuda_context.h"

namespace invp::cuda {

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xFFFFFFFF;

struct Grid {
  dim3 blocks;
  dim3 threads;
  std::size_t shared_bytes = 0;  ///< dynamic; see dynamic_shared
};

/// Enough blocks of `threads` for `count` items, `per_thread` per thread, but at most eight blocks
/// per multiprocessor: kernels loop over the items beyond.
inline Grid grid_for(const Context& context, std::int64_t count, int per_thread = 1,
                     int threads = 256) {
  const std::int64_t per_block = static_cast<std::int64_t>(threads) * per_thread;
  const std::int64_t most = static_cast<std::int64_t>(context.multiprocessors()) * 8;
  const std::int64_t blocks = std::min((count + per_block - 1) / per_block, most);
  return {.blocks = dim3(static_cast<unsigned>(std::max<std::int64_t>(blocks, 1))),
          .threads = dim3(static_cast<unsigned>(threads))};
}

/// Queues kernel(args...) on the context's stream. Throws Error naming the operation when the
/// kernel cannot be started. An error while it runs is reported by the next call that waits, or at
/// once with INVP_CUDA_BLOCKING=1 in the environment.
template <class... Parameters, class... Arguments>
void launch(const Context& context, const Grid& grid, void (*kernel)(Parameters...),
            Arguments&&... arguments) {
  // Without this call a block gets 48 KB of shared memory in all, static memory included, and how
  // much is static is not known here.
  if (grid.shared_bytes > 0) {
    CUDA_CHECK(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                    cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(grid.shared_bytes)));
  }
  cudaLaunchConfig_t config{};
  config.gridDim = grid.blocks;
  config.blockDim = grid.threads;
  config.dynamicSmemBytes = grid.shared_bytes;
  config.stream = context.stream();
  check(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...),
        "starting the kernel");
  after_launch(context);
}

/// The block's dynamic shared memory, as many bytes as the grid asked for.
template <class T>
__device__ T* dynamic_shared() {
#ifdef INVP_CUDA_EMULATED
  return reinterpret_cast<T*>(emulator::dynamic_shared());
#else
  extern __shared__ __align__(16) unsigned char invp_dynamic_shared[];
  return reinterpret_cast<T*>(invp_dynamic_shared);
#endif
}

/// This thread's number in the grid, and how many threads that has: the start and the stride of
/// one-dimensional loops.
__device__ inline std::int64_t thread_in_grid() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline std::int64_t threads_in_grid() {
  return static_cast<std::int64_t>(gridDim.x) * blockDim.x;
}

/// `Lanes` elements, loaded and stored in one access; the widest has 16 bytes. Copy a pack whole:
/// to read or write one lane through a pointer is an access of its own.
template <class T, int Lanes>
struct alignas(sizeof(T) * Lanes) Pack {
  T lane[Lanes];
};
template <class T>
inline constexpr int kPackLanes = static_cast<int>(16 / sizeof(T));

}  // namespace invp::cuda
