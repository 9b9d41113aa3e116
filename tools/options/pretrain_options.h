// Every option of a pretraining run, and the PretrainConfig that they make.
#pragma once

#include "invp/method/pretrain.h"
#include "tools/options/augment_options.h"
#include "tools/options/data_options.h"
#include "tools/options/device_options.h"
#include "tools/options/rank_options.h"
#include "tools/options/run_options.h"

namespace invp::cli {

class PretrainOptions {
 public:
  void declare(Options& options);
  /// Throws UsageError for options that do not go together. Sets threads and numerics.
  PretrainConfig resolve(const Options& options, const JoinedRanks& ranks);

  const DataOptions& data() const { return data_; }
  const RankOptions& ranks() const { return ranks_; }
  const std::string& out() const { return run_.out; }
  /// After resolve().
  const Compute& compute() const { return compute_; }

 private:
  PretrainConfig config_;
  DataOptions data_;
  AugmentOptions augment_;
  DeviceOptions device_;
  Compute compute_;
  RankOptions ranks_;
  RunOptions run_{.out = "runs/pretrain", .resume = {}};
  std::vector<std::int64_t> milestones_;
};

}  // namespace invp::cli
