// Batch norm (engine/ops/norm/batch_norm.h) over the maps of all groups.
//   Training: with x of groups 0 to G - 1 and M_g values per channel in group g,
//     kLocal: each group as an ordinary batch norm has it. The running statistics are moved by the
//     first one alone.
//     kSync: mean and variance of all values; the running variance is divided by their number less
//     one.
//     kNaive: mean = sum mean_g / G, var = sum average_g(x^2) / G - mean^2, computed without that
//     difference; the running variance is this same one. Of one group it is divided by M - 1, as an
//     ordinary batch norm's.
//   Gradient of the others, through mean and variance: as of the ordinary batch norm, with sums
//   over all groups, and G M_g (kNaive) or the number of all values (kSync) for the count in group
//   g. dgamma and dbeta are those of each group, added by TreeSum. A group without values has no
//   share; of kNaive, G counts those that have some. Evaluation: as the ordinary batch norm. Throws
//   as batch norm does: all groups together need two values per channel; with kLocal each that has
//   any.
// Over ranks (GroupNorms::ranks): G counts the groups of all ranks, and M_g the values of all ranks
//   that share group g. One all_gather in each direction, which is neither made again nor in
//   another order when the pass is recomputed. All ranks merge what they get in the same order, so
//   each has the same bits; where ranks have whole groups, those of one process with all groups.
//   dgamma and dbeta are of this process's groups. That there are two values is the caller's to
//   know.
#pragma once

#include "engine/ops/groups/map_groups.h"
#include "engine/ops/norm/batch_norm.h"

namespace invp {

/// The tensors of a norm, f32 (C) each.
struct BatchNormTensors {
  Tensor gamma;
  Tensor beta;
  Tensor running_mean;
  Tensor running_var;
};

/// y = fusion(norm(x)); `residual` (rows like x's) is for kAddRelu alone. params.momentum is not
/// used: x.norms has the pass's.
MapGroups batch_norm_groups(BatchNormFusion fusion, const MapGroups& x, const Tensor& residual,
                            const BatchNormTensors& norm, const BatchNormParams& params);

inline constexpr double kManyValues = 4503599627370496.0;  // 2^52

/// Groups, or the parts of groups that ranks share, in order: P of them.
struct SharedParts {
  NormSharing sharing = NormSharing::kSync;
  std::int64_t parts = 1;
  std::int64_t per_group = 1;
};

/// parts (P, 3, C) f64, BatchNormMoments of each -> merged (3, C): what kSync or kNaive make of
/// them. Of kNaive the count is kManyValues: the running variance is not to be divided by one
/// less.
/// divisors (P) f64: by what a sum over all parts is divided to be the average in the gradient of a
/// part's values.
KERNEL(merge_moments, const SharedParts& shared, const Tensor& parts, const Tensor& merged,
       const Tensor& divisors);
/// parts (P, n) f64 -> their sum (n), in order, divided by `divisor`, one f64.
KERNEL(average_parts, const Tensor& parts, const Tensor& divisor, const Tensor& averages);

}  // namespace invp
