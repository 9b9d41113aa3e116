#include "engine/core/cuda_memory.h"

#include <algorithm>
#include <cstring>
#include <deque>

#include "engine/core/cuda_context.h"
#include "engine/core/dispatch.h"
#include "engine/core/memory.h"
#include "engine/core/parallel.h"
#include "engine/core/staging_ring.h"

namespace invp::cuda {

namespace {

constexpr std::size_t kStagingBytes = std::size_t{64} << 20;

/// Page-locked memory that copies to the GPU pass through.
class Staging {
 public:
  explicit Staging(Context& context) : context_(context), ring_(kStagingBytes) {
    void* memory = nullptr;
    CUDA_CHECK(cudaHostAlloc(&memory, kStagingBytes, cudaHostAllocDefault));
    memory_ = static_cast<std::byte*>(memory);
  }

  void upload(std::byte* to, const std::byte* from, std::size_t bytes) {
    constexpr std::size_t kMost = kStagingBytes / 4;  // so that filling and copying overlap
    for (std::size_t done = 0; done < bytes; done += kMost) {
      const std::size_t part = std::min(kMost, bytes - done);
      std::size_t place = ring_.take(part);
      while (place == StagingRing::kFull) {
        finish_oldest();
        place = ring_.take(part);
      }
      invp::copy_bytes(memory_ + place, kCpu, from + done, kCpu, part);
      CUDA_CHECK(cudaMemcpyAsync(to + done, memory_ + place, part, cudaMemcpyHostToDevice,
                                 context_.stream()));
      cudaEvent_t copied = nullptr;
      CUDA_CHECK(cudaEventCreateWithFlags(&copied, cudaEventDisableTiming));
      CUDA_CHECK(cudaEventRecord(copied, context_.stream()));
      under_way_.push_back(copied);
    }
  }

 private:
  void finish_oldest() {
    const cudaEvent_t copied = under_way_.front();
    under_way_.pop_front();
    wait_for(copied);
    CUDA_CHECK(cudaEventDestroy(copied));
    ring_.give_back_oldest();
  }

  Context& context_;
  StagingRing ring_;
  std::byte* memory_ = nullptr;
  std::deque<cudaEvent_t> under_way_;  ///< an event for each place taken, oldest first
};

}  // namespace

BlockCache::Source segments(Device device) {
  constexpr std::size_t kAlignment = 256;  // best for Hopper's copy engine and for wide loads
  return {.take = [device](std::size_t bytes) -> std::byte* {
            context(device);
            void* segment = nullptr;
            const cudaError_t status = cudaMalloc(&segment, bytes);
            if (status == cudaErrorMemoryAllocation) {
              cudaGetLastError();  // or the next call would report it
              return nullptr;
            }
            check(status, "cudaMalloc");
            return static_cast<std::byte*>(segment);
          },
          .give_back =
              [device](std::byte* segment, std::size_t) {
                const cudaStream_t stream = context(device).stream();
#ifdef INVP_CUDA_EMULATED
                // With the address sanitizer every block is given back: not before its turn, and
                // without a wait.
                CUDA_CHECK(cudaFreeAsync(segment, stream));
#else
                CUDA_CHECK(cudaStreamSynchronize(stream));  // must not throw: not watched
                CUDA_CHECK(cudaFree(segment));
#endif
              },
          .alignment = kAlignment};
}

void copy_bytes(void* to, Device to_device, const void* from, Device from_device,
                std::size_t bytes) {
  Context& gpu = context(to_device != kCpu ? to_device : from_device);
  enter(gpu.device(), "copy");
  if (from_device == kCpu) {
    gpu.part<Staging>().upload(static_cast<std::byte*>(to), static_cast<const std::byte*>(from),
                               bytes);
  } else if (to_device == kCpu) {
    CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, gpu.stream()));
    gpu.synchronize();
  } else if (to_device == from_device) {
    CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, gpu.stream()));
  } else {
    context(from_device).synchronize();
    CUDA_CHECK(cudaMemcpyPeerAsync(to, to_device.index, from, from_device.index, bytes,
                                   context(to_device).stream()));
    context(to_device).synchronize();  // the source may be freed, on a stream that does not wait
  }
}

void fill_bytes(void* to, int value, std::size_t bytes, Device device) {
  Context& gpu = context(device);
  enter(device, "fill");
  CUDA_CHECK(cudaMemsetAsync(to, value, bytes, gpu.stream()));
}

}  // namespace invp::cuda
