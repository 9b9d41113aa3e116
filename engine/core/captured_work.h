// GPU work that is the same every time, captured once as a CUDA graph and then replayed: one call
// of the host in place of hundreds. What differs from one time to the next must lie in the device's
// memory, at addresses that do not change.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/core/device.h"
#include "engine/core/memory.h"

namespace invp {

namespace cuda {
class Graph;
}  // namespace cuda

class CapturedWork {
 public:
  /// What the work allocates lies in the pool. Works may share a pool if none reads memory that
  /// another has freed.
  explicit CapturedWork(std::shared_ptr<MemoryPool> pool);
  ~CapturedWork();
  CapturedWork(CapturedWork&&) noexcept;
  CapturedWork& operator=(CapturedWork&&) noexcept;

  /// Does the work on the pool's device; true if it was replayed.
  /// The first kCalls runs call it, so that libraries load their kernels and choose their
  /// algorithms. The next run calls it once more, to capture it. Later runs replay it without a
  /// call. On a CPU every run calls it.
  /// The work must be the same every time. It must not wait for the device, read from it, or
  /// upload. `agree`, if there is one, is called once, after the capture, with whether it worked;
  /// where it answers false nothing is replayed. Processes whose works meet need it: all of them
  /// replay, or none.
  bool run(const std::function<void()>& work, const std::function<bool(bool)>& agree = {});
  static constexpr int kCalls = 2;

  /// Why every run calls the work although there is a GPU; empty if runs are replayed, or will be.
  /// With INVP_CUDA_GRAPHS=0 or INVP_CUDA_BLOCKING in the environment nothing is captured.
  const std::string& why_not_captured() const { return why_not_; }

 private:
  std::shared_ptr<MemoryPool> pool_;
  std::unique_ptr<cuda::Graph> graph_;
  std::string why_not_;
  [[maybe_unused]] int calls_ = 0;  ///< unused without a GPU
};

/// A place in a device's queue: after everything queued before. On a CPU it is always reached.
class DeviceMark {
 public:
  explicit DeviceMark(Device device);

  /// Waits until the device has reached it.
  void wait() const;

 private:
  [[maybe_unused]] Device device_;
  std::shared_ptr<void> event_;
};

}  // namespace invp
