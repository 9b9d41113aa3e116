// t-SNE (van der Maaten and Hinton, JMLR 2008; the paper's supplement, Figure 2) into the plane.
// Settings are those of van der Maaten's Barnes-Hut program: gradients without the factor 4, which
// is part of the learning rate. The number of threads does not change a bit of the result.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/core/tensor.h"
#include "invp/tsne/affinities.h"
#include "invp/tsne/points.h"
#include "invp/tsne/repulsion.h"

namespace invp {

enum class TsneMethod {
  kAuto,           ///< all pairs up to 5,000 points, interpolation beyond
  kExact,          ///< nothing left out: every row is every row's neighbor, all pairs repel
  kAllPairs,       ///< 3 perplexity neighbors attract, all pairs repel
  kBarnesHut,      ///< 3 perplexity neighbors attract, repulsion by quad-tree
  kInterpolation,  ///< 3 perplexity neighbors attract, repulsion on a grid
};
enum class TsneStart { kPca, kRandom };
enum class TsneRate {
  kAuto,   ///< max(200, n / early exaggeration), as scikit-learn's but for the factor 4
  kPhase,  ///< n / exaggeration, so larger once it has ended: openTSNE's
  kFixed,
};

struct TsneConfig {
  double perplexity = 30;
  TsneMethod method = TsneMethod::kAuto;
  double theta = 0.5;          ///< Barnes-Hut
  int iterations = 1000;       ///< all together
  int early_iterations = 250;  ///< of them exaggerated
  double early_exaggeration = 12;
  TsneRate rate = TsneRate::kAuto;
  double learning_rate = 200;  ///< where the rate is fixed
  double early_momentum = 0.5;
  double momentum = 0.8;
  double longest_step = 0;  ///< no point moves further in one iteration; 0: no limit
  std::int64_t pca = 0;  ///< the features are reduced to so many components first; 0: they are not
  TsneStart start = TsneStart::kPca;  ///< scaled, or drawn, to a standard deviation of 1e-4
  std::uint64_t seed = 0;
};

enum class TsnePhase { kNeighbors, kDescent };
struct TsneProgress {
  TsnePhase phase = TsnePhase::kDescent;
  std::int64_t done = 0, total = 0;  ///< points, iterations
  double kl = 0;                     ///< by the method's own estimate of Z; NaN where not computed
};
/// Returns false to end early.
using TsneObserver = std::function<bool(const TsneProgress&)>;

struct TsneResult {
  Tensor points;  ///< (n, 2) f32, their mean at 0; undefined if ended before the descent began
  /// Divergence of the map from the affinities: the sum of p ln(p / q). Z is summed over all pairs
  /// up to 300,000 points; above, it is the method's own estimate.
  double kl = 0;
  TsneMethod method = TsneMethod::kAuto;  ///< the one that was used
  int iterations = 0;  ///< those done; fewer than asked for if the observer ended it
};

/// Maps the rows of `features` (n, d) f32 on the host. Throws Error for features that are not
/// finite, fewer than 3 perplexity + 1 rows, and settings out of range.
TsneResult tsne(
    const Tensor& features, const TsneConfig& config,
    const TsneObserver& observer = [](const TsneProgress&) { return true; });

/// F_i = sum over j of p_ij q_ij (y_i - y_j): the pull of the neighbors.
void attract(const Affinities& affinities, const Points& points, Points& forces);
/// sum of p ln p - sum of p ln q, with q_ij = 1 / (1 + |y_i - y_j|^2) / normaliser.
double kl_divergence(const Affinities& affinities, const Points& points, double normaliser);

/// The share of each point's k nearest others on the map that carry its label, averaged over at
/// most 20,000 points. Exact. Throws Error for k >= n.
double label_agreement(const Tensor& points, std::span<const std::int64_t> labels,
                       std::int64_t k = 10);

}  // namespace invp
