// Fine-tuning on several ranks is that of one.
#include <gtest/gtest.h>

#include "data/sets/synthetic_dataset.h"
#include "invp/protocols/finetune/finetune.h"
#include "tests/ranks/ranked.h"

namespace invp::testing {
namespace {

constexpr SyntheticOptions kSet{.classes = 7, .size = 16};

FinetuneConfig config_of(const Ranked& here, const std::string& name, bool shared, bool fc_only) {
  FinetuneConfig config;
  config.augment = augment_preset("cifar");
  config.augment.image_size = 16;
  config.evaluation = augment_preset("eval-cifar");
  config.evaluation.image_size = 16;
  config.epochs = 2;
  config.batch_size = 12;
  config.milestones = {1};
  config.fc_only = fc_only;
  config.bn_groups = here.groups;
  config.max_bad_share = 0.2;
  config.run.out = here.out(name);
  if (shared) config.run.ranks.communicator = here.ranks;
  return config;
}

// 51 images in batches of 12: the last has 3. Some cannot be read. All layers learn, or the new
// one alone.
RANKS_TEST(FinetuneRanks, ARunIsThatOfOneRank, 2, 3, 4) {
  Ranked here;
  const auto set = open_synthetic(kSet, SyntheticSplit::kTrain, 51);
  const auto queries = open_synthetic(kSet, SyntheticSplit::kVal, 30);
  const Holed train(*set, {7, 20, 33});
  const Holed validation(*queries, {13, 29});
  for (const bool fc_only : {false, true}) {
    SCOPED_TRACE(fc_only);
    const auto run = [&](bool shared, Recorder& recorder) {
      const auto network =
          make_classifier({.arch = Arch::kResNet18Cifar, .width = 4}, 7, nullptr, "test");
      const std::string name = message(shared ? "shared" : "alone", fc_only);
      return run_finetune(*network, config_of(here, name, shared, fc_only), train, validation,
                          recorder);
    };
    Recorder shared;
    const RunResult result = run(true, shared);
    EXPECT_TRUE(result.finished);
    if (!here.first()) continue;
    Recorder alone;
    const RunResult want = run(false, alone);
    ASSERT_EQ(shared.steps.size(), 10U);
    EXPECT_NE(find_measure(shared.epochs.back().measures, "mean_per_class"), nullptr);
    expect_same_reports(shared, alone);
    expect_same_tensors(result.checkpoint, want.checkpoint);
  }
}

// One group over all ranks, and norms that see all groups. The rates are low: training makes
// rounding grow.
RANKS_TEST(FinetuneRanks, SharedNormsHaveTheLossOfOneRank, 4) {
  Ranked here;
  const auto set = open_synthetic(kSet, SyntheticSplit::kTrain, 51);
  const auto validation = open_synthetic(kSet, SyntheticSplit::kVal, 30);
  const Holed train(*set, {7, 20, 33});
  struct Form {
    int groups;
    NormSharing norms;
    bool fc_only;
  };
  for (const Form& form : {Form{1, NormSharing::kLocal, false}, Form{1, NormSharing::kLocal, true},
                           Form{2, NormSharing::kNaive, false}}) {
    const auto run = [&](bool shared, Recorder& recorder) {
      const auto network =
          make_classifier({.arch = Arch::kResNet18Cifar, .width = 4}, 7, nullptr, "test");
      const std::string name = message(shared ? "shared" : "alone", form.groups, form.fc_only);
      FinetuneConfig config = config_of(here, name, shared, form.fc_only);
      config.bn_groups = form.groups;
      config.norms = form.norms;
      config.learning_rate = config.fc_learning_rate = 1e-5;
      run_finetune(*network, config, train, *validation, recorder);
    };
    Recorder shared, alone;
    run(true, shared);
    if (!here.first()) continue;
    run(false, alone);
    ASSERT_EQ(shared.steps.size(), 10U);
    expect_close_reports(shared, alone);
  }
}

}  // namespace
}  // namespace invp::testing
