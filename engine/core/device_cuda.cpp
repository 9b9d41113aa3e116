#include <cuda_runtime_api.h>

#include "engine/core/cuda_info.h"

namespace invp {

CudaInfo cuda_info() {
  CudaInfo info{.built = true, .problem = {}, .driver = 0, .runtime = 0, .gpus = {}};
  cudaDriverGetVersion(&info.driver);
  cudaRuntimeGetVersion(&info.runtime);
  int count = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess) {
    info.problem = cudaGetErrorString(error);
    return info;
  }
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    if (const cudaError_t error = cudaGetDeviceProperties(&properties, i); error != cudaSuccess) {
      info.problem = cudaGetErrorString(error);
      return info;
    }
    info.gpus.push_back({.name = properties.name,
                         .memory_bytes = static_cast<std::int64_t>(properties.totalGlobalMem),
                         .compute_major = properties.major,
                         .compute_minor = properties.minor});
  }
  return info;
}

}  // namespace invp
