// One context per GPU: its stream, its properties, and what libraries keep for it (handles, plans).
// All work of a GPU goes to one stream in program order. Freed memory may therefore be allocated
// again at once: the work of its new owner is queued after the work of the old one.
//
// Only the *_cuda files of the engine include this.
#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <string>
#include <typeindex>
#include <unordered_map>

#include "engine/core/device.h"

namespace invp::cuda {

/// Throws Error "[operation] call failed on cuda:0: words", naming the operation last entered.
[[noreturn]] void fail_call(const char* call, const std::string& words);
void check(cudaError_t status, const char* call);

class Context {
 public:
  explicit Context(int index);
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  Device device() const { return {DeviceType::kCuda, index_}; }
  cudaStream_t stream() const { return stream_; }
  const cudaDeviceProp& properties() const { return properties_; }
  /// Streaming multiprocessors, from which grids take their sizes.
  int multiprocessors() const { return properties_.multiProcessorCount; }
  void synchronize() const;

  /// What a library keeps for this GPU, made from the context when first asked for:
  /// context.part<CublasLt>().
  template <class Part>
  Part& part() {
    std::shared_ptr<void>& slot = parts_[std::type_index(typeid(Part))];
    if (slot == nullptr) slot = std::make_shared<Part>(*this);
    return *static_cast<Part*>(slot.get());
  }

 private:
  int index_;
  cudaStream_t stream_ = nullptr;
  cudaDeviceProp properties_{};
  std::unordered_map<std::type_index, std::shared_ptr<void>> parts_;
};

/// The context of a GPU, made when first asked for; also makes that GPU current for this thread.
Context& context(Device device);

/// The host waits for an event as for a stream: watched (engine/core/device_wait.h).
void wait_for(cudaEvent_t event);

/// Waits for the kernel just launched if INVP_CUDA_BLOCKING is set in the environment.
void after_launch(const Context& context);

}  // namespace invp::cuda

#define CUDA_CHECK(call) ::invp::cuda::check((call), #call)
