// An UploadRing (upload_ring.h) on a GPU.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/core/cuda_context.h"
#include "engine/core/tensor.h"

namespace invp::cuda {

/// The GPU's stream for copies that run at the same time as its work.
class CopyStream {
 public:
  explicit CopyStream(Context& context);
  cudaStream_t stream() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;  ///< never destroyed, like the context's
};

class CopyRing {
 public:
  CopyRing(Device device, int slots);
  ~CopyRing();
  CopyRing(const CopyRing&) = delete;
  CopyRing& operator=(const CopyRing&) = delete;

  void begin(const Tensor& host);
  Tensor take();

 private:
  struct Slot {
    Tensor buffer;                ///< on the GPU, with room for more than one batch needs
    std::byte* pinned = nullptr;  ///< page-locked, on the host
    std::size_t pinned_bytes = 0;
    cudaEvent_t read = nullptr;    ///< of the context's stream, after the buffer's last reader
    cudaEvent_t copied = nullptr;  ///< after the copy out of the page-locked memory
    bool late = false;             ///< the buffer is too small: take() allocates one and copies
    Shape shape;                   ///< of the tensor that was begun
    DType dtype = DType::kU8;
  };

  static void stage(Slot& slot, const Tensor& host);
  void release(Slot& slot) const;

  Context& context_;
  cudaStream_t stream_;
  std::vector<Slot> slots_;
  std::size_t begun_ = 0;  ///< how many in all; the next goes to slot begun_ % slots
  std::size_t taken_ = 0;
};

}  // namespace invp::cuda
