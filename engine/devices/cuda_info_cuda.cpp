#include <cuda_runtime_api.h>
#ifndef INVP_CUDA_EMULATED
#include <cublasLt.h>
#include <cudnn.h>
#ifdef INVP_NVJPEG
#include <nvjpeg.h>
#endif
#endif

#include "engine/core/error.h"
#include "engine/devices/cuda_info.h"

namespace invp {

namespace {

#ifdef INVP_CUDA_EMULATED

constexpr bool kEmulated = true;
std::vector<CudaLibrary> libraries() {
  return {};
}

#else

constexpr bool kEmulated = false;

// 91900 is 9.19.0, 130100 is 13.1.0.
std::string version(std::size_t number, std::size_t unit) {
  return message(number / (unit * unit), '.', number / unit % unit, '.', number % unit);
}

std::vector<CudaLibrary> libraries() {
  std::vector<CudaLibrary> all{
      {.name = "cuBLASLt",
       .built = message(CUBLAS_VER_MAJOR, '.', CUBLAS_VER_MINOR, '.', CUBLAS_VER_PATCH),
       .loaded = version(cublasLtGetVersion(), 100),
       .use = "matrix products on GPUs"},
      {.name = "cuDNN",
       .built = message(CUDNN_MAJOR, '.', CUDNN_MINOR, '.', CUDNN_PATCHLEVEL),
       .loaded = version(cudnnGetVersion(), 100),
       .use = "convolutions on GPUs"}};
#ifdef INVP_NVJPEG
  int major = 0;
  int minor = 0;
  int patch = 0;
  nvjpegGetProperty(MAJOR_VERSION, &major);
  nvjpegGetProperty(MINOR_VERSION, &minor);
  nvjpegGetProperty(PATCH_LEVEL, &patch);
  all.push_back({.name = "nvJPEG",
                 .built = message(NVJPEG_VER_MAJOR, '.', NVJPEG_VER_MINOR, '.', NVJPEG_VER_PATCH),
                 .loaded = message(major, '.', minor, '.', patch),
                 .use = "JPEG on GPUs"});
#endif
  return all;
}

#endif

}  // namespace

CudaInfo cuda_info() {
  CudaInfo info{.built = true, .emulated = kEmulated, .libraries = libraries()};
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
  for (int i = 0; i < count; ++i) {
    for (int other = i + 1; other < count; ++other) {
      int can = 0;
      if (cudaDeviceCanAccessPeer(&can, i, other) != cudaSuccess || can == 0)
        info.apart.emplace_back(i, other);
    }
  }
  return info;
}

void try_gpus(CudaInfo& info) {
  for (int i = 0; i < std::ssize(info.gpus); ++i) {
    GpuInfo& gpu = info.gpus[static_cast<std::size_t>(i)];
    std::size_t free = 0;
    std::size_t total = 0;
    cudaError_t error = cudaSetDevice(i);
    if (error == cudaSuccess) error = cudaMemGetInfo(&free, &total);
    if (error == cudaSuccess) {
      gpu.free_bytes = static_cast<std::int64_t>(free);
    } else {
      gpu.problem = cudaGetErrorString(error);
    }
  }
}

}  // namespace invp
