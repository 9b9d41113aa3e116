// A step and an evaluation of fine-tuning (finetune.h).
#pragma once

#include <string>
#include <vector>

#include "invp/protocols/finetune/finetune.h"
#include "invp/run/task.h"
#include "optim/schedule.h"

namespace invp {

/// The learning rates of backbone and new layer.
std::vector<Schedule> finetune_rates(const FinetuneConfig& config);

class FinetuneTask final : public Task {
 public:
  /// Network, on the device and in the compute type that it is to have, and validation set live
  /// longer.
  FinetuneTask(const FinetuneConfig& config, ResNet& network, const Dataset& validation);

  Device device() const override { return network_.device(); }
  double learning_rate(const Progress& progress) const override { return rates_.front()(progress); }
  void step(const Batch& batch, const Progress& progress) override;
  std::vector<StepLosses> finish() override { return queue_.finish(); }
  /// "top1", "top5", "mean_per_class", per cent.
  std::vector<Measure> evaluate(const PhaseProgress& progress) override;
  Sgd& optimizer() override { return optimizer_; }
  TensorFile state() const override;
  void load_state(const TensorFile& state, const std::string& origin) override;

 private:
  Tensor logits(const Tensor& images);
  Tensor forward_and_backward(const Batch& batch);

  const FinetuneConfig& config_;
  ResNet& network_;
  const Dataset& validation_;
  Sgd optimizer_;
  const std::vector<Schedule> rates_;
  StepQueue queue_{1, network_.device()};
};

}  // namespace invp
