#include "engine/core/cuda_context.h"

#include <cstdlib>
#include <map>
#include <mutex>

#include "engine/core/dispatch.h"
#include "engine/core/error.h"
#include "engine/core/numerics.h"

namespace invp::cuda {

namespace {

thread_local const char* operation = "cuda";
thread_local Device current{DeviceType::kCuda, -1};

}  // namespace

void enter(Device device, const char* name) {
  operation = name;
  if (device == current) return;
  check(cudaSetDevice(device.index), "cudaSetDevice");
  current = device;
}

void fail_call(const char* call, const std::string& words) {
  fail("[", operation, "] ", call, " failed on ", current, ": ", words);
}

void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) [[likely]]
    return;
  cudaGetLastError();  // or a later call would report it as its own
  fail_call(call, message(cudaGetErrorString(status), " (", cudaGetErrorName(status), ")"));
}

Context::Context(int index) : index_(index) {
  set_numerics(
      numerics());  // in programs that never did: the libraries' first use comes after this
  CUDA_CHECK(cudaSetDevice(index));
  CUDA_CHECK(cudaGetDeviceProperties(&properties_, index));
  CUDA_CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
}

void Context::synchronize() const {
  CUDA_CHECK(cudaStreamSynchronize(stream_));
}

Context& context(Device device) {
  CHECK(device.type == DeviceType::kCuda, "[cuda] ", device, " is no GPU");
  // Never destroyed: tensors of static storage may outlive it otherwise, and the driver cleans up.
  static std::mutex mutex;
  static auto* const contexts = new std::map<int, std::unique_ptr<Context>>;
  const std::lock_guard lock(mutex);
  std::unique_ptr<Context>& slot = (*contexts)[device.index];
  if (slot == nullptr) slot = std::make_unique<Context>(device.index);
  enter(device, operation);
  return *slot;
}

void after_launch(const Context& context) {
  static const bool blocking = std::getenv("INVP_CUDA_BLOCKING") != nullptr;
  if (blocking) context.synchronize();
}

}  // namespace invp::cuda

namespace invp {

void synchronize(Device device) {
  if (device.type == DeviceType::kCuda) cuda::context(device).synchronize();
}

}  // namespace invp
