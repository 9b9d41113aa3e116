// The steps that a device has been given and the host has not looked at yet. On a GPU the host
// queues steps and reads their losses now and then; a step whose loss is not finite must change
// nothing, nor must those queued after it. That is decided on the device.
#pragma once

#include <deque>
#include <vector>

#include "engine/core/captured_work.h"
#include "engine/ops/step/log_step.h"

namespace invp {

class StepQueue {
 public:
  /// For steps of so many losses.
  StepQueue(int losses, Device device);

  /// Called before a step is queued: holds the host back so that it is never more than kAhead steps
  /// before the device. Throws Error if kMost are queued.
  void begin();
  /// Logs a step's losses, (n) f32 on the device, and the sum over its outputs, which may be
  /// undefined. From then on halted() is 1 if any of them is not finite.
  void log(const Tensor& losses, const Tensor& outputs) const { log_step(losses, outputs, log_); }
  /// One i32 on the device, for SgdControl: unless it is 0, the step may change nothing.
  const Tensor& halted() const { return log_.halted(); }
  /// Called after a step was queued.
  void end();

  /// Waits for the device. What the steps since the last call came to, in their order.
  std::vector<StepLosses> finish();

  bool full() const { return queued_ == kMost; }
  static constexpr int kMost = 64;
  static constexpr std::size_t kAhead = 2;

 private:
  Device device_;
  StepLog log_;
  int queued_ = 0;
  std::deque<DeviceMark> ends_;  ///< of the steps that may be under way
};

}  // namespace invp
