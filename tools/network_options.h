// --arch, --width, --head, --dim: the network of a run or a benchmark.
#pragma once

#include "layers/resnet.h"
#include "tools/options.h"

namespace invp {

void declare_network(Options& options, NetworkConfig& network);

}  // namespace invp
