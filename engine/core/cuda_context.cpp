#include "engine/core/cuda_context.h"

#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "engine/core/device_wait.h"
#include "engine/core/dispatch.h"
#include "engine/core/error.h"
#include "engine/core/numerics.h"

namespace invp::cuda {

namespace {

thread_local const char* operation = "cuda";
thread_local Device current{DeviceType::kCuda, -1};
thread_local std::function<void(std::chrono::duration<double>)> look;

/// Asks again and again, and looks around in between.
template <class Query>
void wait_until(const Query& query, const char* call) {
  using Clock = std::chrono::steady_clock;
  using Seconds = std::chrono::duration<double>;
  constexpr Seconds kLook{0.005};
  constexpr Seconds kPatience{0.0005};
  const auto start = Clock::now();
  Seconds looked{0};
  while (true) {
    const cudaError_t status = query();
    if (status != cudaErrorNotReady) return check(status, call);
    cudaGetLastError();
    const Seconds since = Clock::now() - start;
    if (since - looked > kLook) {
      look(since);
      looked = since;
    }
    if (since > kPatience)
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    else
      std::this_thread::yield();
  }
}

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
  if (!look) return CUDA_CHECK(cudaStreamSynchronize(stream_));
  wait_until([this] { return cudaStreamQuery(stream_); }, "cudaStreamQuery");
}

void wait_for(cudaEvent_t event) {
  if (!look) return CUDA_CHECK(cudaEventSynchronize(event));
  wait_until([event] { return cudaEventQuery(event); }, "cudaEventQuery");
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

void watch_device_waits(std::function<void(std::chrono::duration<double> since)> look) {
  cuda::look = std::move(look);
}

void synchronize(Device device) {
  if (device.type == DeviceType::kCuda) cuda::context(device).synchronize();
}

}  // namespace invp
