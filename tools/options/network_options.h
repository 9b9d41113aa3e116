// --arch, --width, --head, --dim: the network of a run or a benchmark; --recompute: how it trains.
#pragma once

#include <string>

#include "layers/resnet.h"
#include "tools/options/options.h"

namespace invp::cli {

void declare_network(Options& options, NetworkConfig& network);
/// --arch, where it may be left to the weights: "auto" or a backbone.
void declare_expected_arch(Options& options, std::string& arch, std::string help);
/// Throws Error naming `file` if --arch is neither auto nor the backbone of its weights.
void check_arch(const std::string& arch, Arch found, const std::string& file);
void declare_recompute(Options& options, Recompute& recompute);

}  // namespace invp::cli
