// Pretraining as a task of the run (invp/run/run.h): the steps of the trainer, weighted kNN of the
// validation split against the memory bank (the released code's protocol), purity of the positives.
#pragma once

#include <string>
#include <vector>

#include "invp/method/embed.h"
#include "invp/method/knn.h"
#include "invp/method/pretrain.h"
#include "invp/method/trainer.h"
#include "invp/run/task.h"
#include "optim/schedule.h"

namespace invp {

class PretrainTask final : public Task {
 public:
  /// All that is given lives longer; `validation` may be null.
  PretrainTask(const PretrainConfig& config, const Dataset& train, const Dataset* validation);

  Device device() const override { return config_.device; }
  std::vector<std::string> loss_names() const override { return {"loss", "loss_ins", "loss_inv"}; }
  double learning_rate(const Progress& progress) const override {
    return config_.learning_rate * schedule_(progress);
  }
  /// Fills the bank by one pass of the untrained network and centers the head, where the settings
  /// say so.
  void prepare(BatchSource& batches, const PhaseProgress& progress) override;
  void step(const Batch& batch, const Progress& progress) override;
  std::vector<StepLosses> finish() override { return trainer_.finish(); }
  /// "knn_top1", "knn_top5".
  Evaluation evaluate(const PhaseProgress& progress) override;
  /// "positive_purity", "hard_positive_purity", where the training set has labels.
  std::vector<Measure> after_epoch() override;
  std::string advice() const override;

  TensorFile state() const override { return trainer_.state(); }
  void load_state(const TensorFile& state, const std::string& origin) override {
    trainer_.load_state(state, origin);
  }
  const SpreadRows* spread_rows() const override { return trainer_.spread_rows(); }
  Sgd& optimizer() override { return trainer_.optimizer(); }

 private:
  Features queries_of_rank(const PhaseProgress& progress);
  void add_up(KnnAccuracy& accuracy, Features& queries);
  void check_ranks_agree();
  void look_at_all(BatchSource& batches, const PhaseProgress& progress);

  const PretrainConfig& config_;
  const Dataset& train_;
  const Dataset* validation_;
  const Schedule schedule_;
  Trainer trainer_;
};

}  // namespace invp
