// Weighted kNN classification against a bank of labelled features (Wu et al., CVPR 2018; the
// authors' evaluation after every epoch, supplement A). The k rows most similar to a query vote for
// their class with weight exp(s / tau). A class without a vote scores 0. Of equal scores the lower
// class comes first.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/tensor.h"
#include "invp/method/memory_bank.h"

namespace invp {

struct KnnConfig {
  std::int64_t k = 200;
  std::vector<double> taus = {0.07};  ///< one result per tau, from one search
  std::int64_t classes = 0;           ///< 0: one more than the largest label
};

/// Queries whose label has the highest score, or one of the five highest.
struct KnnAccuracy {
  double top1 = 0;  ///< per cent
  double top5 = 0;
  std::int64_t hits1 = 0;  ///< how many
  std::int64_t hits5 = 0;

  /// Sets the shares of so many queries.
  void of(std::int64_t queries) {
    const double share = 100.0 / static_cast<double>(queries);
    top1 = static_cast<double>(hits1) * share;
    top5 = static_cast<double>(hits5) * share;
  }
};

/// The scores (taus, B, classes) f32 on the host, those of a query and a tau scaled by
/// exp(-s_max / tau).
/// `queries` (B, D) f32 of unit length, on any device; the bank's device searches. `labels`: the
/// class of each bank row.
Tensor knn_scores(const Tensor& queries, const MemoryBank& bank,
                  std::span<const std::int64_t> labels, const KnnConfig& config);

/// Classifies all queries, in blocks. Returns one accuracy per tau. Throws Error for counts that do
/// not fit, an empty set, labels outside [0, classes), k < 1 and tau <= 0.
std::vector<KnnAccuracy> knn_classify(const Tensor& queries,
                                      std::span<const std::int64_t> query_labels,
                                      const MemoryBank& bank, std::span<const std::int64_t> labels,
                                      const KnnConfig& config);

/// The same for several k, from one search for the largest: for each of `ks` one accuracy per tau.
/// Ignores config.k.
std::vector<std::vector<KnnAccuracy>> knn_classify_each(const Tensor& queries,
                                                        std::span<const std::int64_t> query_labels,
                                                        const MemoryBank& bank,
                                                        std::span<const std::int64_t> labels,
                                                        std::span<const std::int64_t> ks,
                                                        const KnnConfig& config);

}  // namespace invp
