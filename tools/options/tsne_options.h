// The settings of `invp tsne`.
#pragma once

#include "invp/tsne/tsne.h"
#include "tools/options/options.h"

namespace invp::cli {

class TsneOptions {
 public:
  void declare(Options& options);
  /// For features of `dim` columns. Throws UsageError for values of --lr and --pca that are neither
  /// their words nor numbers.
  TsneConfig resolve(std::int64_t dim, std::uint64_t seed) const;

 private:
  TsneConfig config_;
  std::string rate_ = "auto";
  std::string pca_ = "auto";
};

/// "exact", "barnes-hut", ...
std::string name_of(TsneMethod method);

}  // namespace invp::cli
