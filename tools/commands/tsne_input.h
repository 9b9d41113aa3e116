// What `invp tsne` maps: features from files, or those that networks have for a data set.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/core/tensor.h"
#include "tools/options/checkpoint_network.h"
#include "tools/options/data_options.h"
#include "tools/options/device_options.h"
#include "tools/options/options.h"

namespace invp::cli {

/// The features of one map.
struct TsneInput {
  std::string name;  ///< what to call it: a file's name without its ending
  Tensor features;   ///< (n, d) f32 on the host
  std::vector<std::int64_t> labels;
  std::vector<std::int64_t> indices;  ///< positions in the split
  std::string split;
  std::vector<std::string> classes;  ///< empty: unknown
};

class TsneInputs {
 public:
  void declare(Options& options);
  /// As many as files or checkpoints were given. Throws UsageError if neither or both were.
  std::vector<TsneInput> read(const Compute& compute) const;
  /// The split the indices count in; null if --data was not given.
  std::unique_ptr<Dataset> open(const std::string& split) const;

 private:
  TsneInput from_file(const std::string& file, std::uint64_t seed) const;
  TsneInput from_network(const std::string& checkpoint, const Dataset& dataset,
                         const Compute& compute) const;
  /// The rows left by --first-classes and --per-class, rising.
  std::vector<std::int64_t> chosen(std::span<const std::int64_t> labels, std::uint64_t seed) const;

  std::vector<std::string> files_;
  std::vector<std::string> checkpoints_;
  std::vector<std::string> names_;
  std::string layer_ = "head";
  std::string split_ = "train";
  std::int64_t first_classes_ = 0;
  std::int64_t per_class_ = 0;
  CheckpointOptions network_;
  DataOptions data_;
};

}  // namespace invp::cli
