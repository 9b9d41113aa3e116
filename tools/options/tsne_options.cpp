#include "tools/options/tsne_options.h"

#include "engine/core/error.h"

namespace invp::cli {

namespace {

/// By default, wider features are reduced: pooled ones are wider, embeddings are not.
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
  options.main_group("t-SNE");
  options.number("perplexity", config_.perplexity, {1, 1e6, true},
                 "how many neighbors count; at most a third of the points");
  options
      .choice<TsneMethod>("method", config_.method, methods(),
                          "how forces between points are summed")
      .notes({"all-pairs up to 5,000 points, then interpolation", "every pair attracts and repels",
              "3 x perplexity neighbors attract, all pairs repel",
              "the same, repulsion by a quad-tree", "the same, repulsion on a grid"});
  options.integer("iterations", config_.iterations, {0, 1e9}, "steps of the descent");
  options
      .text("lr", rate_, "X",
            "learning rate. auto: points / early exaggeration, at least 200; phase: points / "
            "exaggeration, as openTSNE has it. scikit-learn's figure for the same steps is a "
            "quarter. In TOML files: tsne-lr")
      .key("tsne-lr");
  options
      .choice<TsneStart>("start", config_.start,
                         {{"pca", TsneStart::kPca}, {"random", TsneStart::kRandom}},
                         "where the points begin")
      .rare();
  options
      .text("pca", pca_, "N",
            "principal components to which the features are reduced first; 0: none; auto: 50 for "
            "features wider than 128")
      .rare();
  options
      .integer("early-iterations", config_.early_iterations, {0, 1e9},
               "iterations at the start in which attraction is exaggerated")
      .rare();
  options
      .number("early-exaggeration", config_.early_exaggeration, kPositive,
              "factor on the attraction in those iterations")
      .rare();
  options.number("early-momentum", config_.early_momentum, {0, 1}, "momentum in those iterations")
      .rare();
  options.number("late-momentum", config_.momentum, {0, 1}, "momentum after them").rare();
  options
      .number("theta", config_.theta, {0, 10},
              "of --method barnes-hut: how coarse the quad-tree is; 0: exact")
      .rare();
  options
      .number("longest-step", config_.longest_step, {0, 1e9},
              "farthest that a point moves in an iteration; 0: no limit")
      .rare();
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
