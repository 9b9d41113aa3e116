// Work of a GPU that is the same every time, recorded once as a CUDA graph and replayed: one call
// of the host in place of hundreds. What differs from one time to the next has to lie in the
// device's memory, at addresses that stay.
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

class RecordedWork {
 public:
  /// What the work allocates lies in the pool. Several works may share one as long as they leave
  /// nothing for each other in memory that they free.
  explicit RecordedWork(std::shared_ptr<MemoryPool> pool);
  ~RecordedWork();
  RecordedWork(RecordedWork&&) noexcept;
  RecordedWork& operator=(RecordedWork&&) noexcept;

  /// Does the work, always the same, on the pool's device. It is called the first kCalls times,
  /// while libraries load their kernels and choose their algorithms; once more to be recorded; from
  /// then on it is replayed without being called. True if it was replayed. On a CPU it is called
  /// every time. It must not wait for the device, nor read or upload anything.
  bool run(const std::function<void()>& work);
  static constexpr int kCalls = 2;

  /// Why the work is called every time although there is a GPU; empty if it is not. With
  /// INVP_CUDA_GRAPHS=0 or INVP_CUDA_BLOCKING in the environment nothing is recorded.
  const std::string& refusal() const { return refusal_; }

 private:
  std::shared_ptr<MemoryPool> pool_;
  std::unique_ptr<cuda::Graph> graph_;
  std::string refusal_;
  [[maybe_unused]] int calls_ = 0;  ///< without a GPU nobody asks
};

/// A place in a device's work: everything queued on it before. On a CPU, always reached.
class DeviceMark {
 public:
  explicit DeviceMark(Device device);

  /// Waits until the device has come by.
  void wait() const;

 private:
  [[maybe_unused]] Device device_;
  std::shared_ptr<void> event_;
};

}  // namespace invp
