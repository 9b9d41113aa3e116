// The emulated GPU's device and memory, as the CUDA runtime shows them.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>

#include "cuda_runtime.h"

namespace {

/// Bytes in front of each allocation, which hold its size.
constexpr std::size_t kHeader = 256;

std::size_t capacity = std::size_t{16} << 30;
std::atomic<std::size_t> allocated = 0;
std::mutex device_mutex;
thread_local int current_gpu = 0;
std::set<int>& used_gpus = *new std::set<int>;  // by the context that cudaSetDevice makes

int count_gpus() {
  const char* const wanted = std::getenv("INVP_EMULATED_GPUS");
  return wanted == nullptr ? 1 : std::atoi(wanted);
}

}  // namespace

void emulator::set_memory(std::size_t bytes) {
  capacity = bytes;
}

int emulator::contexts() {
  const std::lock_guard lock(device_mutex);
  return static_cast<int>(used_gpus.size());
}

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidConfiguration: return "invalid configuration argument";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorNotReady: return "device not ready";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorInvalidValue: break;
  }
  return "invalid argument";
}
const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorNotReady: return "cudaErrorNotReady";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorInvalidValue: break;
  }
  return "cudaErrorInvalidValue";
}
cudaError_t cudaGetLastError() {
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = count_gpus();
  return *count > 0 ? cudaSuccess : cudaErrorNoDevice;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device < 0 || device >= count_gpus()) return cudaErrorInvalidDevice;
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "emulated GPU");
  properties->totalGlobalMem = capacity;
  properties->sharedMemPerBlockOptin = 227 << 10;
  properties->major = 9;
  properties->multiProcessorCount = 4;
  properties->l2CacheSize = 50 << 20;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= count_gpus()) return cudaErrorInvalidDevice;
  const std::lock_guard lock(device_mutex);
  current_gpu = device;
  used_gpus.insert(device);
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = current_gpu;
  return cudaSuccess;
}
cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  *can = device == peer ? 0 : 1;
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *total = capacity;
  *free = capacity - allocated;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  if (allocated + bytes > capacity) return cudaErrorMemoryAllocation;
  auto* block = static_cast<std::byte*>(
      std::aligned_alloc(kHeader, kHeader + (bytes + kHeader - 1) / kHeader * kHeader));
  if (block == nullptr) return cudaErrorMemoryAllocation;
  std::memcpy(block, &bytes, sizeof bytes);
  allocated += bytes;
  *pointer = block + kHeader;
  return cudaSuccess;
}
cudaError_t cudaFree(void* pointer) {
  if (pointer == nullptr) return cudaSuccess;
  std::byte* const block = static_cast<std::byte*>(pointer) - kHeader;
  std::size_t bytes = 0;
  std::memcpy(&bytes, block, sizeof bytes);
  allocated -= bytes;
  std::free(block);
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** pointer, std::size_t bytes, unsigned) {
  *pointer = std::aligned_alloc(kHeader, (bytes + kHeader - 1) / kHeader * kHeader);
  return *pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
cudaError_t cudaFreeHost(void* pointer) {
  std::free(pointer);
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) {
  return cudaSuccess;
}
