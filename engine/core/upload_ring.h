// Copies the next batch to a GPU while it computes on the current one: on a stream of its own, into
// two buffers that are used in turn, with events that keep copies from overtaking readers.
#pragma once

#include <deque>
#include <memory>

#include "engine/core/tensor.h"

namespace invp {

namespace cuda {
class CopyRing;
}  // namespace cuda

/// A queue of tensors, taken in the order in which they were begun. On a CPU take() returns the
/// tensor that was given to begin(). Calls must not overlap, but may come from different threads.
class UploadRing {
 public:
  static constexpr int kSlots = 2;

  explicit UploadRing(Device device);
  ~UploadRing();
  UploadRing(const UploadRing&) = delete;
  UploadRing& operator=(const UploadRing&) = delete;

  Device device() const { return device_; }
  /// Starts the copy of a host tensor to the device; its elements may be overwritten at once. At
  /// most kSlots - 1 may be begun beside the one in use. Allocates nothing on the device, does not
  /// wait for the device's stream, and may be called while that stream is captured.
  void begin(const Tensor& host);
  /// The oldest tensor that was begun, for work that is queued from now on. Such work must not read
  /// the tensor taken before, unless a handle to that one is still held: then its elements stay,
  /// and the ring allocates another buffer.
  Tensor take();

 private:
  Device device_;
  std::deque<Tensor> begun_;  ///< used on a CPU
  std::unique_ptr<cuda::CopyRing> ring_;
};

}  // namespace invp
