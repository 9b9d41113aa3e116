#include "engine/core/cuda_copy_ring.h"

#include <cstring>

#include "engine/core/dispatch.h"
#include "engine/core/error.h"
#include "engine/core/memory.h"

namespace invp::cuda {

namespace {

/// Batches of crops differ in size: buffers have room for this much more than the last one needed.
constexpr std::int64_t kSlack = 4;  // a quarter

}  // namespace

CopyStream::CopyStream(Context& context) {
  enter(context.device(), "upload");
  CUDA_CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
}

CopyRing::CopyRing(Device device, int slots)
    : context_(context(device)),
      stream_(context_.part<CopyStream>().stream()),
      slots_(static_cast<std::size_t>(slots)) {
  enter(device, "upload");
  for (Slot& slot : slots_) {
    CUDA_CHECK(cudaEventCreateWithFlags(&slot.read, cudaEventDisableTiming));
    CUDA_CHECK(cudaEventCreateWithFlags(&slot.copied, cudaEventDisableTiming));
  }
}

CopyRing::~CopyRing() {
  for (Slot& slot : slots_) {
    cudaEventSynchronize(slot.copied);
    cudaFreeHost(slot.pinned);
    cudaEventDestroy(slot.copied);
    cudaEventDestroy(slot.read);
  }
}

void CopyRing::begin(const Tensor& host) {
  CHECK(begun_ - taken_ + 1 < slots_.size(), "[upload] begun before what is begun was taken");
  context(
      context_
          .device());  // makes the GPU current for this thread, which may not be the constructor's
  enter(context_.device(), "upload");
  Slot& slot = slots_[begun_ % slots_.size()];
  stage(slot, host);
  slot.shape = host.shape();
  slot.dtype = host.dtype();
  slot.late = !slot.buffer.defined() || slot.buffer.dtype() != host.dtype() ||
              slot.buffer.numel() < host.numel();
  if (!slot.late) {
    CUDA_CHECK(cudaStreamWaitEvent(stream_, slot.read, 0));
    CUDA_CHECK(cudaMemcpyAsync(slot.buffer.raw(), slot.pinned, host.nbytes(),
                               cudaMemcpyHostToDevice, stream_));
    CUDA_CHECK(cudaEventRecord(slot.copied, stream_));
  }
  ++begun_;
}

/// Copies into page-locked memory, once the copy before has left it.
void CopyRing::stage(Slot& slot, const Tensor& host) {
  wait_for(slot.copied);
  if (slot.pinned_bytes < host.nbytes()) {
    CUDA_CHECK(cudaFreeHost(slot.pinned));
    slot.pinned = nullptr;
    slot.pinned_bytes = 0;
    const std::size_t bytes = host.nbytes() + host.nbytes() / kSlack;
    void* memory = nullptr;
    CUDA_CHECK(cudaHostAlloc(&memory, bytes, cudaHostAllocDefault));
    slot.pinned = static_cast<std::byte*>(memory);
    slot.pinned_bytes = bytes;
  }
  if (host.nbytes() > 0) std::memcpy(slot.pinned, host.raw(), host.nbytes());
}

Tensor CopyRing::take() {
  CHECK(taken_ < begun_, "[upload] taken before it was begun");
  enter(context_.device(), "upload");
  if (taken_ > 0) release(slots_[(taken_ - 1) % slots_.size()]);
  Slot& slot = slots_[taken_++ % slots_.size()];
  const std::int64_t numel = slot.shape.numel();
  if (slot.late) {
    // Memory is allocated in the order of the context's stream, so the first copy into it is queued
    // there.
    const MemoryScope scope(MemoryUse::kData);
    slot.buffer = {};
    slot.buffer = Tensor::empty({numel + numel / kSlack}, slot.dtype, context_.device());
    CUDA_CHECK(cudaMemcpyAsync(slot.buffer.raw(), slot.pinned,
                               static_cast<std::size_t>(numel) * size_of(slot.dtype),
                               cudaMemcpyHostToDevice, context_.stream()));
    CUDA_CHECK(cudaEventRecord(slot.copied, context_.stream()));
  } else {
    CUDA_CHECK(cudaStreamWaitEvent(context_.stream(), slot.copied, 0));
  }
  return slot.buffer.slice(0, numel).view(slot.shape);
}

/// Call when all that reads the buffer is queued.
void CopyRing::release(Slot& slot) const {
  if (!slot.buffer.unique()) {
    slot.buffer = {};
    return;
  }
  CUDA_CHECK(cudaEventRecord(slot.read, context_.stream()));
}

}  // namespace invp::cuda
