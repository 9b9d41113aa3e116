// Every option of fine-tuning, and what they give. Options that are not given get the protocol's
// defaults.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "invp/protocols/finetune/finetune.h"
#include "tools/options/augment_options.h"
#include "tools/options/data_options.h"
#include "tools/options/device_options.h"
#include "tools/options/rank_options.h"
#include "tools/options/run_options.h"

namespace invp::cli {

class FinetuneOptions {
 public:
  void declare(Options& options);
  /// Sets threads and numerics; comes before the data set is opened. Throws UsageError for options
  /// that do not go together.
  void resolve(const Options& options, const JoinedRanks& ranks);
  /// The network to start from, on its device, with one output per class. From then on the options
  /// hold its form.
  std::unique_ptr<ResNet> network(std::int64_t classes);
  /// The pipelines of training and evaluation for the images of this set.
  void resolve_images(const Options& options, const Dataset& train, const ResNet& network);

  FinetuneConfig& config() { return config_; }
  const DataOptions& data() const { return data_; }
  const RankOptions& ranks() const { return ranks_; }
  const std::string& out() const { return run_.out; }
  const Compute& compute() const { return compute_; }
  const std::string& labels() const { return labels_; }
  const std::string& checkpoint() const { return checkpoint_; }
  bool from_scratch() const { return from_scratch_; }

 private:
  void declare_start(Options& options);
  void declare_training(Options& options);

  FinetuneConfig config_;
  std::string labels_;
  std::string checkpoint_;
  std::string weights_prefix_;
  bool from_scratch_ = false;
  std::string arch_ = "auto";
  int width_ = 64;
  Recompute recompute_ = Recompute::kNone;
  std::vector<std::int64_t> milestones_;
  DataOptions data_;
  AugmentOptions augment_{"auto",
                          {"auto", "train-224", "finetune-224", "finetune-cars", "linear-cifar",
                           "linear-svhn", "imagenet", "none"}};
  DeviceOptions device_;
  RankOptions ranks_;
  RunOptions run_{.out = "runs/finetune", .resume = {}};
  Compute compute_;
};

}  // namespace invp::cli
