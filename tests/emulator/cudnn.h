// The part of NVIDIA's cuDNN that the engine calls besides its graphs, which convolution_graph.cpp
// plays.
#pragma once

#include <cstddef>

#include "cuda_runtime_api.h"

enum cudnnStatus_t { CUDNN_STATUS_SUCCESS = 0, CUDNN_STATUS_NOT_INITIALIZED = 1001 };
using cudnnHandle_t = struct cudnnContext*;

struct cudnnContext {
  cudaStream_t stream;
};

inline cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  *handle = new cudnnContext{};
  return CUDNN_STATUS_SUCCESS;
}
inline cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete handle;
  return CUDNN_STATUS_SUCCESS;
}
inline cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}
inline std::size_t cudnnGetVersion() {
  return 91900;
}
inline const char* cudnnGetErrorString(cudnnStatus_t) {
  return "emulated";
}
inline void cudnnGetLastErrorString(char* words, std::size_t size) {
  if (size > 0) words[0] = '\0';
}
