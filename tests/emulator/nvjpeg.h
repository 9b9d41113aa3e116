// The part of NVIDIA's nvJPEG that the engine calls, played by libjpeg-turbo (nvjpeg.cpp).
#pragma once

#include <cstddef>

#include "cuda_runtime_api.h"

enum nvjpegStatus_t {
  NVJPEG_STATUS_SUCCESS = 0,
  NVJPEG_STATUS_INVALID_PARAMETER = 2,
  NVJPEG_STATUS_BAD_JPEG = 3,
  NVJPEG_STATUS_JPEG_NOT_SUPPORTED = 4,
  NVJPEG_STATUS_EXECUTION_FAILED = 6,
  NVJPEG_STATUS_INCOMPLETE_BITSTREAM = 10,
};
enum nvjpegBackend_t { NVJPEG_BACKEND_GPU_HYBRID = 2 };
enum nvjpegOutputFormat_t { NVJPEG_OUTPUT_RGBI = 5 };
inline constexpr unsigned NVJPEG_FLAGS_BITSTREAM_STRICT = 4;
inline constexpr unsigned NVJPEG_FLAGS_UPSAMPLING_WITH_INTERPOLATION = 32;

struct nvjpegImage_t {
  unsigned char* channel[4];
  std::size_t pitch[4];
};
using nvjpegHandle_t = struct nvjpegHandle*;
using nvjpegJpegState_t = struct nvjpegJpegState*;

nvjpegStatus_t nvjpegCreateEx(nvjpegBackend_t backend, void* device_allocator,
                              void* pinned_allocator, unsigned flags, nvjpegHandle_t* handle);
nvjpegStatus_t nvjpegJpegStateCreate(nvjpegHandle_t handle, nvjpegJpegState_t* state);
nvjpegStatus_t nvjpegDecodeBatchedInitialize(nvjpegHandle_t handle, nvjpegJpegState_t state,
                                             int batch_size, int max_cpu_threads,
                                             nvjpegOutputFormat_t format);
nvjpegStatus_t nvjpegDecodeBatched(nvjpegHandle_t handle, nvjpegJpegState_t state,
                                   const unsigned char* const* data, const std::size_t* lengths,
                                   nvjpegImage_t* destinations, cudaStream_t stream);
