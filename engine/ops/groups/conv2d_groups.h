// conv2d (engine/ops/conv/conv2d.h) of the maps of every group, with one set of weights.
//   Gradients of w and b: those of each group, added by TreeSum. Saves w, and x or how to compute
//   it again (MapGroups::again).
#pragma once

#include "engine/ops/conv/conv2d.h"
#include "engine/ops/groups/map_groups.h"

namespace invp {

MapGroups conv2d(const MapGroups& x, const Tensor& w, const Tensor& b = {},
                 const Conv2dParams& params = {});

/// Not differentiable: throws if a gradient would be recorded. The epilogue's residual is the rows
/// of all groups.
MapGroups conv2d_fused(const MapGroups& x, const Tensor& w, Conv2dEpilogue epilogue,
                       const Conv2dParams& params = {});

}  // namespace invp
