// Every option of layer-wise linear classification, and the LinearConfig that they make.
#pragma once

#include <memory>
#include <string>

#include "invp/protocols/linear/linear_protocol.h"
#include "tools/options/checkpoint_run.h"
#include "tools/options/data_options.h"
#include "tools/options/device_options.h"
#include "tools/options/rank_options.h"
#include "tools/options/run_options.h"

namespace invp::cli {

class LinearOptions {
 public:
  void declare(Options& options);

  /// Options that are not given become the protocol's; from then on they hold its values, for
  /// config.toml. Throws UsageError for options that do not go together. Sets threads and numerics.
  void resolve(const Options& options, const JoinedRanks& ranks);
  /// The network of --checkpoint, without its head, on its device. Throws UsageError for taps that
  /// it does not have.
  std::unique_ptr<ResNet> network();

  const LinearConfig& config() const { return config_; }  ///< after both
  const RankOptions& ranks() const { return ranks_; }
  /// The two splits, by the protocol's convention.
  std::unique_ptr<Dataset> open_train() const;
  /// Numbered as `train`.
  std::unique_ptr<Dataset> open_test(const Dataset& train) const;

  const Compute& compute() const { return compute_; }  ///< after resolve()
  const RunOptions& run() const { return run_; }
  const std::string& checkpoint() const { return checkpoint_; }
  /// What images the network sees, and why those; after resolve().
  std::string images() const;
  /// "imagenet", "voc07", ...; after resolve().
  const std::string& protocol() const { return protocol_; }

 private:
  /// With --voc-train train, a split of VOC as the challenge has it; null otherwise.
  std::unique_ptr<Dataset> open_voc_part(const char* split) const;

  void declare_protocol(Options& options);
  void declare_images(Options& options);
  void declare_training(Options& options);
  LinearProtocol fill_in(const Options& options);
  AugmentConfig pipeline(LinearProtocol protocol, const std::string& name) const;
  std::vector<int> parsed_taps(const ResNet& network) const;

  std::string checkpoint_;
  std::string weights_prefix_;
  CheckpointRun checkpoint_run_;
  std::string arch_ = "auto";
  DataOptions data_;
  std::string voc_train_ = "trainval";
  std::string protocol_ = "auto";
  std::string taps_;
  LinearConfig config_;
  std::vector<std::int64_t> milestones_;
  std::string augment_ = "train-224";
  int image_size_ = 0;
  double test_flip_prob_ = 0;
  DeviceOptions device_;
  Compute compute_;
  RankOptions ranks_;
  RunOptions run_{.out = "runs/linear", .resume = {}};
};

}  // namespace invp::cli
