#include "engine/core/cuda_launch.cuh"
#include "engine/core/cuda_memory.h"
#include "engine/core/dispatch.h"

namespace invp::cuda {

namespace {

__global__ void fill(std::uint32_t* to, std::uint32_t value, std::int64_t count) {
  for (std::int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) to[i] = value;
}

}  // namespace

void fill_words(std::uint32_t* to, std::uint32_t value, std::int64_t count, Device device) {
  enter(device, "fill");
  const Context& gpu = context(device);
  launch(gpu, grid_for(gpu, count), fill, to, value, count);
}

}  // namespace invp::cuda
