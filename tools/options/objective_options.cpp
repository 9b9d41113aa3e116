#include "tools/options/objective_options.h"

namespace invp::cli {

void declare_objective(Options& options, ObjectiveConfig& objective) {
  options.group("Objective");
  options.choice<ContrastForm>(
      "objective", objective.form,
      {{"paper", ContrastForm::kPaper}, {"released", ContrastForm::kReleased}},
      "the paper's form or that of the authors' code");
  options.number("tau", objective.tau, {0.01, 100},
                 "temperature; the paper has 0.07 with a linear head, 0.2 with mlp");
  options.number("bank-momentum", objective.bank_momentum, {0, 1},
                 "share of the old row when the bank is updated");
  options.integer("neighbors", objective.neighbors, {1, 1024},
                  "k: images kept as nearest for each image");
  options.integer("steps", objective.steps, {1, 16}, "l: how far positives are propagated");
  options.integer("hard-positives", objective.hard_positives, {1, 1e6},
                  "P: least similar positives that are used");
  options.integer("background", objective.background, {1, 1e9},
                  "M: most similar images that are contrasted with");
  options.number("lambda", objective.lambda, {0, 1000}, "weight of the invariance loss");
  options.choice<PositiveChoice>("positives", objective.positives,
                                 {{"hard", PositiveChoice::kLeastSimilar},
                                  {"easy", PositiveChoice::kMostSimilar},
                                  {"all", PositiveChoice::kAll}},
                                 "which positives are used");
  options.flag("no-invariance", objective.no_invariance, "the instance loss alone");
}

void declare_ramp(Options& options, ObjectiveConfig& objective) {
  options.integer("warm-epochs", objective.warm_epochs, {0, 1e6},
                  "T: epochs of the instance loss alone");
  options.choice<Ramp>(
      "ramp", objective.ramp,
      {{"binary", Ramp::kBinary}, {"gaussian", Ramp::kGaussian}, {"none", Ramp::kNone}},
      "how the invariance loss sets in");
}

}  // namespace invp::cli
