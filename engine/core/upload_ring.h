// Batches on their way to a GPU while it computes on the one before: a stream of their own, two
// buffers that stay, and events that keep readers and copies apart.
#pragma once

#include <deque>
#include <memory>

#include "engine/core/tensor.h"

namespace invp {

namespace cuda {
class CopyRing;
}  // namespace cuda

/// A queue of tensors: begun here, taken there in the same order. On a CPU what is begun is what is
/// taken. Not thread-safe, but begin() may be called on another thread than take(), one after the
/// other.
class UploadRing {
 public:
  static constexpr int kSlots = 2;

  explicit UploadRing(Device device);
  ~UploadRing();
  UploadRing(const UploadRing&) = delete;
  UploadRing& operator=(const UploadRing&) = delete;

  Device device() const { return device_; }
  /// Starts bringing a host tensor to the device; its elements may be overwritten at once. At most
  /// kSlots - 1 may be begun beside the one in use. Allocates nothing on the device, waits for
  /// nothing that the device's stream has yet to do, and may be called while that is recorded.
  void begin(const Tensor& host);
  /// The oldest that was begun, for work that is queued from now on; nothing that is queued from
  /// now on may read the one taken before, unless its tensor is still held: then the elements stay
  /// the holder's, and the ring gets itself another buffer.
  Tensor take();

 private:
  Device device_;
  std::deque<Tensor> begun_;  ///< of a CPU
  std::unique_ptr<cuda::CopyRing> ring_;
};

}  // namespace invp
