// --arch, --width, --head, --dim: the network of a run or a benchmark; --recompute: how it trains.
#pragma once

#include "layers/resnet.h"
#include "tools/options/options.h"

namespace invp::cli {

void declare_network(Options& options, NetworkConfig& network);
void declare_recompute(Options& options, Recompute& recompute);

}  // namespace invp::cli
