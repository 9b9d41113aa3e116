// Batch norm (engine/ops/norm/batch_norm.h) over the maps of all groups.
//   Training: with x of groups 0 to G - 1 and M_g values per channel in group g,
//     kSync: mean and variance of all values; the running variance is divided by their number less
//     one.
//     kNaive: mean = sum mean_g / G, var = sum average_g(x^2) / G - mean^2, computed without that
//     difference; the running variance is this same one. Of one group it is divided by M - 1, as an
//     ordinary batch norm's.
//   Gradient of both, through mean and variance: as of the ordinary batch norm, with sums over all
//   groups, and G M_g (kNaive) or the number of all values (kSync) for the count in group g.
//   dgamma and dbeta are those of each group, added by TreeSum.
//   Evaluation: as the ordinary batch norm.
//   Throws as batch norm does; with kNaive each group needs two values per channel.
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

/// parts (G, 3, C) f64, BatchNormMoments of each group -> merged (3, C): what kSync or kNaive make
/// of them. Of kNaive the count is kManyValues: the running variance is not to be divided by one
/// less.
KERNEL(merge_moments, NormSharing sharing, const Tensor& parts, const Tensor& merged);
/// parts (G, n) f64 -> their sum (n), in order.
KERNEL(add_parts, const Tensor& parts, const Tensor& total);

}  // namespace invp
