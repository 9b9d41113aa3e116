// A task whose step is the gradients of its losses, then SGD with a learning rate per group of
// parameters.
#pragma once

#include <vector>

#include "invp/run/task.h"
#include "optim/schedule.h"

namespace invp {

class SgdTask : public Task {
 public:
  /// One rate per group of the optimizer; the first one is reported. `losses`: how many
  /// loss_names() has.
  SgdTask(Sgd optimizer, std::vector<Schedule> rates, int losses, Device device);

  Device device() const override { return device_; }
  double learning_rate(const Progress& progress) const override { return rates_.front()(progress); }
  void step(const Batch& batch, const Progress& progress) override;
  std::vector<StepLosses> finish() override { return queue_.finish(); }
  Sgd& optimizer() override { return optimizer_; }

 protected:
  /// The batch's mean losses, (n) f32 on the device, with the gradients of the first one set on the
  /// parameters. Must not wait for the device.
  virtual Tensor losses_with_gradients(const Batch& batch, const Progress& progress) = 0;

 private:
  Device device_;
  Sgd optimizer_;
  std::vector<Schedule> rates_;
  StepQueue queue_;
};

}  // namespace invp
