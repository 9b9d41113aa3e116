// The log of a training loop whose host does not wait for each step: every step writes its losses
// there, on its device, and the host reads them later. A step whose losses or whose sum over the
// outputs is not finite sets `halted`. Later steps that are already queued then change nothing,
// until the host has read the log.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"

namespace invp {

/// What a step came to.
struct StepLosses {
  std::vector<double> losses;  ///< batch means
  double output_sum = 0;  ///< not finite if any output is, even when the losses are; 0: not kept

  /// What is NaN or infinite, in words; empty if nothing is.
  std::string trouble() const;
};

class StepLog {
 public:
  /// Room for `steps` steps of so many losses.
  StepLog(std::int64_t steps, std::int64_t losses, Device device);

  /// The steps logged since the last call, in order; empties the log and clears halted(). Waits for
  /// the device.
  std::vector<StepLosses> take();

  /// One i32 on the device: 1 once a step was not finite, else 0.
  const Tensor& halted() const { return halted_; }
  /// One i32 on the device: how many steps are logged.
  const Tensor& count() const { return count_; }
  /// (steps, losses + 1) f32: the losses, then the sum over the outputs.
  const Tensor& rows() const { return rows_; }

 private:
  Tensor rows_, count_, halted_;
};

/// Logs one step; past the last row it only looks at what is finite.
///   means (N) f32, as many as the log has losses; outputs f32 of any shape, or undefined, whose
///   sum counts as 0. All on the log's device.
/// Throws Error for other shapes, dtypes and devices.
void log_step(const Tensor& means, const Tensor& outputs, const StepLog& log);

/// `output_sum` is one f32.
KERNEL(log_step, const Tensor& means, const Tensor& output_sum, const StepLog& log);

}  // namespace invp
