#include "tools/options/network_options.h"

namespace invp::cli {

void declare_network(Options& options, NetworkConfig& network) {
  options.group("Network");
  options.choice("arch", network.arch, all_archs(), "backbone");
  options.integer("width", network.width, {1, 1024}, "channels after the stem");
  options.choice<HeadKind>("head", network.head,
                           {{"linear", HeadKind::kLinear}, {"mlp", HeadKind::kMlp}}, "projection");
  options.integer("dim", network.dim, {1, 65536}, "size of the embedding");
}

void declare_recompute(Options& options, Recompute& recompute) {
  options.choice("recompute", recompute, all_recomputes(),
                 "what the backward pass computes again to save memory");
}

}  // namespace invp::cli
