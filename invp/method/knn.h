// Weighted kNN classification against a bank of labelled features (Wu et al., CVPR 2018; the
// authors' evaluation after every epoch). The k rows most similar to a query vote for their class
// with weight exp(s / tau); classes without a vote score 0; of equal scores the lower class comes
// first.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/tensor.h"

namespace invp {

struct KnnConfig {
  std::int64_t k = 200;
  std::vector<double> taus = {0.07};  ///< one result each, from the same search
  std::int64_t classes = 0;           ///< 0: one more than the largest label
};

/// Per cent of the queries whose label scores highest, or among the five highest.
struct KnnAccuracy {
  double top1 = 0;
  double top5 = 0;
};

/// The score of each class for each query, tau by tau: (taus, B, classes) f32 on the host, each
/// scaled by exp(-s_max / tau).
///   queries (B, D) f32 of unit length, on any device, bank (N, D), on the device that searches it,
///   labels: the class of each bank row.
Tensor knn_scores(const Tensor& queries, const Tensor& bank, std::span<const std::int64_t> labels,
                  const KnnConfig& config);

/// Classifies all queries, a block at a time. One accuracy a tau. Throws Error for counts that do
/// not fit, an empty set, labels outside [0, classes), k < 1 and tau <= 0.
std::vector<KnnAccuracy> knn_classify(const Tensor& queries,
                                      std::span<const std::int64_t> query_labels,
                                      const Tensor& bank, std::span<const std::int64_t> labels,
                                      const KnnConfig& config);

/// The same for several k from one search for the largest: a row of accuracies, one a tau, for each
/// of `ks`; config.k does not count.
std::vector<std::vector<KnnAccuracy>> knn_classify_each(const Tensor& queries,
                                                        std::span<const std::int64_t> query_labels,
                                                        const Tensor& bank,
                                                        std::span<const std::int64_t> labels,
                                                        std::span<const std::int64_t> ks,
                                                        const KnnConfig& config);

}  // namespace invp
