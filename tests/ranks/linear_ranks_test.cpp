// Linear classification on several ranks is that of one.
#include <gtest/gtest.h>

#include <span>
#include <utility>

#include "data/sets/synthetic_dataset.h"
#include "invp/protocols/linear/linear.h"
#include "tests/ranks/ranked.h"

namespace invp::testing {
namespace {

constexpr SyntheticOptions kSet{.classes = 4, .size = 16};

/// The same images; of its class an image has that, and of the next one it is not known.
class ManyLabels final : public Dataset {
 public:
  explicit ManyLabels(const Dataset& set)
      : Dataset("many", std::vector<std::int32_t>(static_cast<std::size_t>(set.size())),
                set.classes()),
        set_(set) {
    for (std::int64_t i = 0; i < set.size(); ++i) {
      for (std::int64_t c = 0; c < 4; ++c) {
        presences_.push_back(c == set.label(i)             ? Presence::kPresent
                             : c == (set.label(i) + 1) % 4 ? Presence::kUnclear
                                                           : Presence::kAbsent);
      }
    }
  }
  std::string name(std::int64_t index) const override { return set_.name(index); }
  void fetch(std::int64_t index, Sample& sample) const override { set_.fetch(index, sample); }
  std::span<const Presence> presences(std::int64_t index) const override {
    return std::span(presences_).subspan(static_cast<std::size_t>(4 * index), 4);
  }

 private:
  const Dataset& set_;
  std::vector<Presence> presences_;
};

/// 51 images in batches of 12, the last of 3, to train on, and 31 to judge by. Some cannot be read.
struct Sets {
  std::unique_ptr<Dataset> all = open_synthetic(kSet, SyntheticSplit::kTrain, 51);
  std::unique_ptr<Dataset> queries = open_synthetic(kSet, SyntheticSplit::kVal, 31);
  ManyLabels many_all{*all}, many_queries{*queries};
  Holed train{*all, {7, 20, 33}};
  Holed validation{*queries, {13, 29}};
};

LinearConfig config_of(const Ranked& here) {
  LinearConfig config;
  config.augment = augment_preset("cifar");
  config.augment.image_size = 16;
  config.evaluation = augment_preset("eval-cifar");
  config.evaluation.image_size = 16;
  config.epochs = 2;
  config.batch_size = 12;
  config.learning_rate = 0.5;
  config.milestones = {1};
  config.bn_groups = here.groups;
  config.max_bad_share = 0.2;
  return config;
}

LinearResult run(const Ranked& here, const std::string& name, bool shared, LinearConfig config,
                 const Dataset& train, const Dataset& validation, Recorder& recorder) {
  config.run.out = here.out(name);
  if (shared) config.run.ranks.communicator = here.ranks;
  ResNet network({.arch = Arch::kResNet18Cifar, .width = 4, .dim = 8, .seed = 5});
  return run_linear(network, config, train, validation, recorder);
}

void expect_same_runs(Ranked& here, const std::string& name, const LinearConfig& config,
                      const Dataset& train, const Dataset& validation) {
  SCOPED_TRACE(name);
  here.settle();
  Recorder shared;
  const LinearResult got = run(here, name, true, config, train, validation, shared);
  EXPECT_TRUE(got.run.finished);
  if (!here.first()) return;
  Recorder alone;
  const LinearResult want = run(here, name + "-alone", false, config, train, validation, alone);
  ASSERT_EQ(shared.steps.size(), 10U);
  expect_same_reports(shared, alone);
  expect_same_measures(shared, alone);
  expect_same_tensors(got.run.checkpoint, want.run.checkpoint);
  const auto skipped = here.out(name) / "skipped-images.tsv";
  const auto want_skipped = here.out(name + "-alone") / "skipped-images.tsv";
  ASSERT_EQ(std::filesystem::exists(skipped), std::filesystem::exists(want_skipped));
  if (std::filesystem::exists(skipped)) {
    EXPECT_EQ(read_all(skipped), read_all(want_skipped));
  }
}

RANKS_TEST(LinearRanks, ARunIsThatOfOneRank, 2, 3, 4) {
  Ranked here;
  const Sets sets;
  const LinearConfig config = config_of(here);
  expect_same_runs(here, "taps", config, sets.train, sets.validation);
  LinearConfig both = config;
  both.taps = {9};
  both.train_network = true;
  both.learning_rate = 0.01;
  expect_same_runs(here, "network", both, sets.train, sets.validation);
  LinearConfig cached = config;
  cached.augment = {.image_size = 16, .flip_prob = 0.5};
  cached.evaluation = {.image_size = 16};
  cached.cache_features = true;
  expect_same_runs(here, "cached", cached, sets.train, sets.validation);
}

RANKS_TEST(LinearRanks, JudgementsAreThoseOfOneRank, 2, 3, 4) {
  Ranked here;
  const Sets sets;
  LinearConfig crops = config_of(here);
  crops.taps = {5, 9};
  crops.evaluation.resize_shorter = 18;
  crops.views = TestViews::kTenCrops;
  expect_same_runs(here, "crops", crops, sets.train, sets.validation);
  LinearConfig many = config_of(here);
  many.taps = {5, 9};
  many.evaluation = many.augment;
  many.views = TestViews::kTenRandom;
  expect_same_runs(here, "many", many, sets.many_all, sets.many_queries);
}

// More ranks than groups: each has a piece of one.
RANKS_TEST(LinearRanks, PiecesOfAGroupComputeTheSameUpToRounding, 2, 3) {
  Ranked here;
  const Sets sets;
  LinearConfig config = config_of(here);
  config.taps = {5, 9};
  config.bn_groups = 1;
  Recorder shared;
  run(here, "pieces", true, config, sets.train, sets.validation, shared);
  if (!here.first()) return;
  Recorder alone;
  run(here, "pieces-alone", false, config, sets.train, sets.validation, alone);
  expect_close_reports(shared, alone);
}

// Stopped on these ranks, gone on with on one, and the other way round.
RANKS_TEST(LinearRanks, ARunGoesOnWithAnotherNumberOfRanks, 2, 4) {
  Ranked here;
  const Sets sets;
  LinearConfig config = config_of(here);
  config.taps = {5, 9};
  std::filesystem::path whole;
  if (here.first()) {
    Recorder recorder;
    whole = run(here, "whole", false, config, sets.train, sets.validation, recorder).run.checkpoint;
  }
  expect_to_go_on_elsewhere(here, whole, [&](const std::string& name, bool shared, bool stops) {
    Recorder recorder;
    LinearConfig part = config;
    if (stops)
      part.run.stop_after = 6;
    else
      part.run.resume = "auto";
    const LinearResult result =
        run(here, name, shared, part, sets.train, sets.validation, recorder);
    EXPECT_EQ(result.run.finished, !stops);
    return result.run.checkpoint;
  });
}

}  // namespace
}  // namespace invp::testing
