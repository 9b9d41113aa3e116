// Losses of groups, added so that the bits do not depend on who computes which groups.
#pragma once

#include <vector>

#include "engine/core/tensor.h"

namespace invp {

/// The sum of f32 scalars of one shape, one per group and at least one, in the graph. In the order
/// of TreeSum (engine/ops/groups/tree_sum.h).
Tensor sum_over_groups(std::vector<Tensor> terms);

}  // namespace invp
