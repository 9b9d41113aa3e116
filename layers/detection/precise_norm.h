// Precise batch norm: running statistics from passes over training batches with the weights as they
// are, instead of a moving average over weights that changed (detectron2's TEST.PRECISE_BN, on in
// MoCo's and InvP's configurations).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "layers/conv.h"

namespace invp {

enum class PreciseNormRule : std::uint8_t {
  kAverage,  ///< plain averages of the batches' means and variances (fvcore until May 2021, when
             ///< the paper's figures were made)
  /// Of a batch's n values per channel: mean = sum n m / sum n, var = sum n (m^2 + v (n - 1) / n) /
  /// sum n - mean^2 (fvcore since).
  kPooled,
};
/// "average", "pooled", for the command line.
const std::vector<std::pair<std::string, PreciseNormRule>>& all_precise_norm_rules();

/// Collects what passes leave in the running statistics. The passes are in training mode and of
/// GroupNorms{.momentum = 1}, so that each leaves its batch's own.
class PreciseNorm {
 public:
  explicit PreciseNorm(std::vector<BatchNorm2d*> norms);

  /// After each pass.
  void add();
  /// Replaces the running statistics. Throws Error if there was no pass.
  void finish(PreciseNormRule rule) const;

 private:
  struct Sums {
    std::vector<double> mean, var;          ///< plain
    std::vector<double> weighted, squares;  ///< n m and n m^2 + (n - 1) v
    double values = 0;
  };
  std::vector<BatchNorm2d*> norms_;
  std::vector<Sums> sums_;
  std::int64_t passes_ = 0;
};

}  // namespace invp
