// A trained network with the images that it is shown and the layer that is looked at: what extract,
// knn and tsne share.
#pragma once

#include <memory>
#include <string>

#include "invp/method/embed.h"
#include "tools/options/checkpoint_network.h"
#include "tools/options/checkpoint_run.h"
#include "tools/options/device_options.h"

namespace invp::cli {

class EvaluatedNetwork {
 public:
  /// On the device of `compute`. `layer` is head, pool or block1..block17, or auto: the head, or
  /// pool where the file has no head. Throws UsageError for another, Error naming the file and what
  /// does not fit.
  EvaluatedNetwork(const CheckpointOptions& options, const std::string& layer,
                   const Compute& compute);

  const CheckpointRun& run() const { return run_; }
  /// Never auto.
  const std::string& layer() const { return layer_name_; }
  /// Which layer of which network, and how images reach it: two lines.
  std::string lines() const;
  /// Features of a whole data set, under a progress bar. Says which images were left out.
  Features features(const Dataset& dataset, int workers, const std::string& label);

 private:
  std::string layer_text() const;
  std::string source_of_images() const;

  CheckpointOptions options_;
  std::string layer_name_;
  CheckpointRun run_;
  std::unique_ptr<ResNet> network_;
  FeatureLayer layer_;
  AugmentConfig pipeline_;
};

/// "8", or "7 of 8" where some were left out.
std::string counted_of(std::int64_t used, std::int64_t all);

}  // namespace invp::cli
