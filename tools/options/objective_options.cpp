#include "tools/options/objective_options.h"

namespace invp::cli {

void declare_objective(Options& options, ObjectiveConfig& objective) {
  options.group("Objective", Decides::kWeights);
  options
      .choice<ContrastForm>(
          "objective", objective.form,
          {{"paper", ContrastForm::kPaper}, {"released", ContrastForm::kReleased}},
          "form of both losses and of the propagation")
      .notes({"as the paper states it", "as the authors' code computes it"});
  options.number("tau", objective.tau, {0.01, 100},
                 "temperature; the paper has 0.07 with --head linear, 0.2 with mlp");
  options.number("bank-momentum", objective.bank_momentum, {0, 1},
                 "share of its old row that an image keeps in the bank");
  options.integer("neighbors", objective.neighbors, {1, 1024},
                  "k: nearest images that are kept per image");
  options.integer("steps", objective.steps, {1, 16},
                  "l: steps from neighbor to neighbor that lead to positives");
  options.integer("hard-positives", objective.hard_positives, {1, 1e6},
                  "P: positives that are used per image");
  options.integer("background", objective.background, {1, 1e9},
                  "M: most similar images, with which an image is contrasted");
  options.number("lambda", objective.lambda, {0, 1000}, "weight of the invariance loss");
  options
      .choice<PositiveChoice>("positives", objective.positives,
                              {{"hard", PositiveChoice::kLeastSimilar},
                               {"easy", PositiveChoice::kMostSimilar},
                               {"all", PositiveChoice::kAll}},
                              "which positives are used")
      .notes({"the least similar", "the most similar", "all of them"});
  options.flag("no-invariance", objective.no_invariance, "train with the instance loss alone");
}

void declare_ramp(Options& options, ObjectiveConfig& objective) {
  options.integer("warm-epochs", objective.warm_epochs, {0, 1e6},
                  "T: epochs before the invariance loss has its full weight");
  options
      .choice<Ramp>(
          "ramp", objective.ramp,
          {{"binary", Ramp::kBinary}, {"gaussian", Ramp::kGaussian}, {"none", Ramp::kNone}},
          "weight of the invariance loss over the first T epochs")
      .notes({"none", "exp(-5 (1 - epoch/T)^2)", "its full weight"});
}

}  // namespace invp::cli
