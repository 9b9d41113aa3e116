#include "tools/options/network_options.h"

#include "engine/core/error.h"

namespace invp::cli {

void declare_network(Options& options, NetworkConfig& network) {
  options.group("Network", Decides::kWeights);
  options.choice("arch", network.arch, all_archs(), "backbone").common();
  options.integer("width", network.width, {1, 1024}, "channels after the first convolution");
  options
      .choice<HeadKind>("head", network.head,
                        {{"linear", HeadKind::kLinear}, {"mlp", HeadKind::kMlp}},
                        "layers between backbone and embedding")
      .notes({"one linear layer", "two, with a ReLU between them"});
  options.integer("dim", network.dim, {1, 65536}, "values of an embedding");
}

void declare_expected_arch(Options& options, std::string& arch, std::string help) {
  std::vector<std::string> archs = {"auto"};
  for (const auto& [name, value] : all_archs()) archs.push_back(name);
  options.choice("arch", arch, std::move(archs), std::move(help));
}

void check_arch(const std::string& arch, Arch found, const std::string& file) {
  CHECK(arch == "auto" || arch == name_of(found), file, ": the weights of a ", name_of(found),
        ", not of a ", arch, "; leave out --arch");
}

void declare_recompute(Options& options, Recompute& recompute) {
  // It gives the same bits.
  options
      .choice("recompute", recompute, all_recomputes(),
              "what the backward pass computes again, to save memory")
      .retired("norms", "'blocks', which saves more memory, or 'none'; the weights are the same")
      .does_not_decide();
}

}  // namespace invp::cli
