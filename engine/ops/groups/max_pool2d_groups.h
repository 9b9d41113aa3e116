// max_pool2d (engine/ops/pool/max_pool2d.h) of the maps of every group.
#pragma once

#include "engine/ops/groups/map_groups.h"
#include "engine/ops/pool/max_pool2d.h"

namespace invp {

MapGroups max_pool2d(const MapGroups& x, const MaxPool2dParams& params);

}  // namespace invp
