// A step and an evaluation of fine-tuning (finetune.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "invp/protocols/finetune/finetune.h"
#include "invp/protocols/scores/accuracy.h"
#include "invp/run/bad_of_ranks.h"
#include "invp/run/sgd_task.h"

namespace invp {

/// The learning rates of backbone and new layer.
std::vector<Schedule> finetune_rates(const FinetuneConfig& config);

class FinetuneTask final : public SgdTask {
 public:
  /// Network, on the device and in the compute type that it is to have, and validation set live
  /// longer.
  FinetuneTask(const FinetuneConfig& config, ResNet& network, const Dataset& validation);

  /// "top1", "top5", "mean_per_class", per cent.
  Evaluation evaluate(const PhaseProgress& progress) override;
  std::vector<Measure> after_epoch() override;
  TensorFile state() const override;
  void load_state(const TensorFile& state, const std::string& origin) override;

 private:
  Communicator& ranks() const { return *config_.run.ranks.communicator; }
  std::vector<BadImage> judge(Accuracy& accuracy, const PhaseProgress& progress);
  GroupedImages grouped(const Batch& batch, const std::vector<RowRange>& groups) const;
  Tensor losses_with_gradients(const Batch& batch, const Progress& progress) override;

  const FinetuneConfig& config_;
  ResNet& network_;
  const std::vector<Tensor> learning_;  ///< what gets gradients
  const std::optional<SharedNorms> shared_;
  const Dataset& validation_;
};

}  // namespace invp
