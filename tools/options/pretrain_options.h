// Every option of a pretraining run, and the PretrainConfig they come to.
#pragma once

#include "invp/method/pretrain.h"
#include "tools/options/augment_options.h"
#include "tools/options/data_options.h"
#include "tools/options/device_options.h"
#include "tools/options/run_options.h"

namespace invp::cli {

class PretrainOptions {
 public:
  void declare(Options& options);
  /// Throws UsageError for options that do not go together. Sets threads and numerics.
  PretrainConfig resolve(const Options& options);

  const DataOptions& data() const { return data_; }
  /// Once resolved.
  const Compute& compute() const { return compute_; }
  const std::string& resume() const { return run_.resume; }
  const std::string& out() const { return run_.out; }

 private:
  PretrainConfig config_;
  DataOptions data_;
  AugmentOptions augment_;
  DeviceOptions device_;
  Compute compute_;
  RunOptions run_{.out = "runs/pretrain", .resume = {}};
  std::vector<std::int64_t> milestones_;
};

}  // namespace invp::cli
