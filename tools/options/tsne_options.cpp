#include "tools/options/tsne_options.h"

#include "engine/core/error.h"

namespace invp::cli {

namespace {

/// Features wider than this are reduced, unless told otherwise: pooled ones are, embeddings not.
constexpr std::int64_t kWidestKept = 128;
constexpr std::int64_t kReducedTo = 50;

const std::vector<std::pair<std::string, TsneMethod>>& methods() {
  static const std::vector<std::pair<std::string, TsneMethod>> kMethods = {
      {"auto", TsneMethod::kAuto},
      {"exact", TsneMethod::kExact},
      {"all-pairs", TsneMethod::kAllPairs},
      {"barnes-hut", TsneMethod::kBarnesHut},
      {"interpolation", TsneMethod::kInterpolation}};
  return kMethods;
}

}  // namespace

std::string name_of(TsneMethod method) {
  for (const auto& [name, other] : methods()) {
    if (other == method) return name;
  }
  return "?";
}

void TsneOptions::declare(Options& options) {
  options.group("t-SNE");
  options.number("perplexity", config_.perplexity, {1, 1e6, true},
                 "how many neighbors count; a third of the points at most");
  options.choice<TsneMethod>(
      "method", config_.method, methods(),
      "exact: every pair attracts and repels; the others let 3 x perplexity neighbors attract and "
      "sum the repulsion over all pairs, by a quad-tree, or on a grid. auto: all pairs up to "
      "5,000 points, then the grid");
  options.number("theta", config_.theta, {0, 10}, "how coarse the quad-tree is; 0: not at all");
  options.integer("iterations", config_.iterations, {0, 1e9}, "steps of the descent");
  options.integer("early-iterations", config_.early_iterations, {0, 1e9},
                  "of them exaggerated, the first ones");
  options.number("early-exaggeration", config_.early_exaggeration, kPositive,
                 "factor of the attraction in those");
  options
      .text("lr", rate_, "X",
            "learning rate; auto: points / early exaggeration, at least 200; phase: points / "
            "exaggeration, as openTSNE does. scikit-learn's is a quarter of the same; tsne-lr in "
            "TOML files")
      .key("tsne-lr");
  options.number("early-momentum", config_.early_momentum, {0, 1}, "while exaggerated");
  options.number("late-momentum", config_.momentum, {0, 1}, "afterwards");
  options.number("longest-step", config_.longest_step, {0, 1e9},
                 "no point moves further in an iteration; 0: as far as it likes");
  options.text("pca", pca_, "N",
               "components the features are reduced to first; 0: none are dropped; auto: 50 for "
               "features wider than 128");
  options.choice<TsneStart>("start", config_.start,
                            {{"pca", TsneStart::kPca}, {"random", TsneStart::kRandom}},
                            "where the points begin");
}

TsneConfig TsneOptions::resolve(std::int64_t dim, std::uint64_t seed) const {
  TsneConfig config = config_;
  config.seed = seed;
  if (rate_ == "auto") {
    config.rate = TsneRate::kAuto;
  } else if (rate_ == "phase") {
    config.rate = TsneRate::kPhase;
  } else {
    config.rate = TsneRate::kFixed;
    try {
      config.learning_rate = parse_number(rate_);
    } catch (const UsageError& error) {
      throw UsageError(message("--lr: auto, phase or a number; ", error.what()));
    }
    if (config.learning_rate <= 0) throw UsageError(message("--lr must be above 0, got ", rate_));
  }
  if (pca_ == "auto") {
    config.pca = dim > kWidestKept ? kReducedTo : 0;
  } else {
    try {
      config.pca = parse_integer(pca_);
    } catch (const UsageError& error) {
      throw UsageError(message("--pca: auto or a whole number; ", error.what()));
    }
    if (config.pca < 0) throw UsageError(message("--pca must be at least 0, got ", pca_));
  }
  return config;
}

}  // namespace invp::cli
