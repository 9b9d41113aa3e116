// Whole runs of pretraining on several ranks: what is written, reported and resumed is that of one.
#include <gtest/gtest.h>

#include "data/sets/synthetic_dataset.h"
#include "invp/method/pretrain.h"
#include "invp/method/pretrain_task.h"
#include "tests/ranks/ranked.h"
#include "tests/support/small_pretrain.h"

namespace invp::testing {
namespace {

constexpr SyntheticOptions kSet{.classes = 4, .size = 16};

PretrainConfig config_of(const Ranked& here, const std::string& name, bool shared,
                         BankPlace bank = BankPlace::kAuto) {
  PretrainConfig config = testing::small_pretrain(here.out(name));
  config.epochs = 2;
  config.batch_size = 12;
  config.bn_groups = here.groups;
  config.bank_start = BankStart::kFeatures;
  config.center_head = true;
  config.knn_k = 5;
  config.max_bad_share = 0.2;
  config.bank = bank;
  if (shared) config.run.ranks.communicator = here.ranks;
  return config;
}

// 51 images in batches of 12: the last has 3. Some cannot be read, of training and of validation.
void expect_run_of_one_rank(BankPlace bank) {
  Ranked here;
  const auto set = open_synthetic(kSet, SyntheticSplit::kTrain, 51);
  const auto queries = open_synthetic(kSet, SyntheticSplit::kVal, 30);
  const Holed train(*set, {7, 20, 33});
  const Holed validation(*queries, {13, 29});
  Recorder shared;
  const RunResult result =
      pretrain(config_of(here, "shared", true, bank), train, &validation, shared);
  EXPECT_TRUE(result.finished);
  if (!here.first()) {
    EXPECT_TRUE(shared.steps.empty()) << "rank 0 alone speaks";
    return;
  }
  Recorder alone;
  const RunResult want = pretrain(config_of(here, "alone", false, bank), train, &validation, alone);
  ASSERT_EQ(shared.steps.size(), 10U);
  EXPECT_EQ(shared.epochs.back().skipped_images, 3);
  expect_same_reports(shared, alone);
  expect_same_tensors(result.checkpoint, want.checkpoint);
  EXPECT_EQ(read_all(here.out("shared") / "skipped-images.tsv"),
            read_all(here.out("alone") / "skipped-images.tsv"));
}

RANKS_TEST(PretrainRanks, ARunIsThatOfOneRank, 1, 2, 3, 4) {
  expect_run_of_one_rank(BankPlace::kReplicated);
}
RANKS_TEST(PretrainRanks, ARunWithAShardedBankIsThatOfOneRank, 1, 2, 3, 4) {
  expect_run_of_one_rank(BankPlace::kSharded);
}

// Stopped on these ranks, gone on with on one, and the other way round.
void expect_to_go_on(BankPlace bank, const std::vector<std::int64_t>& stops) {
  Ranked here;
  const auto train = open_synthetic(kSet, SyntheticSplit::kTrain, 51);
  const auto queries = open_synthetic(kSet, SyntheticSplit::kVal, 30);
  std::filesystem::path whole;
  if (here.first()) {
    Recorder recorder;
    whole =
        pretrain(config_of(here, "whole", false, bank), *train, queries.get(), recorder).checkpoint;
  }
  for (const std::int64_t stop : stops) {
    SCOPED_TRACE(stop);
    expect_to_go_on_elsewhere(
        here, whole, [&](const std::string& name, bool shared, bool stops_now) {
          PretrainConfig config = config_of(here, message(name, '-', stop), shared, bank);
          Recorder recorder;
          if (stops_now)
            recorder.stop_at = stop;
          else
            config.run.resume = "auto";
          const RunResult result = pretrain(config, *train, queries.get(), recorder);
          EXPECT_EQ(result.finished, !stops_now);
          if (stops_now) {
            EXPECT_EQ(std::ssize(recorder.steps), here.first() ? stop : 0);
          }
          return result.checkpoint;
        });
  }
}

RANKS_TEST(PretrainRanks, ARunGoesOnWithAnotherNumberOfRanks, 2, 4) {
  expect_to_go_on(BankPlace::kReplicated, {1, 4, 5, 7});
}
RANKS_TEST(PretrainRanks, ARunWithAShardedBankGoesOnToo, 2, 4) {
  expect_to_go_on(BankPlace::kSharded, {4, 5});
}

// Whether rows are spread decides the last bits: a run does not change over.
RANKS_TEST(PretrainRanks, AShardedBankDoesNotGoOnFromAWholeOne, 2) {
  Ranked here;
  const auto train = open_synthetic(kSet, SyntheticSplit::kTrain, 51);
  for (const auto& [before, after] : {std::pair{BankPlace::kSharded, BankPlace::kReplicated},
                                      {BankPlace::kReplicated, BankPlace::kSharded}}) {
    const std::string name = before == BankPlace::kSharded ? "spread" : "whole";
    Recorder recorder;
    recorder.stop_at = 2;
    pretrain(config_of(here, name, true, before), *train, nullptr, recorder);
    here.settle();
    if (!here.first()) continue;
    PretrainConfig config = config_of(here, name, false, after);
    config.run.resume = "auto";
    try {
      pretrain(config, *train, nullptr, recorder);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what())
                    .find(name == "whole" ? "with --bank replicated, this run has --bank sharded"
                                          : "with --bank sharded, this run has --bank replicated"),
                std::string::npos)
          << error.what();
    }
  }
}

class CheckpointCounter final : public Recorder {
 public:
  void checkpoint_written(const std::string& /*path*/) override { ++checkpoints; }
  int checkpoints = 0;
};

// Checkpoints by the clock of rank 0, which the others do not have.
RANKS_TEST(PretrainRanks, AShardedBankIsSavedWhenRank0Says, 2) {
  Ranked here;
  const auto train = open_synthetic(kSet, SyntheticSplit::kTrain, 51);
  PretrainConfig config = config_of(here, "clock", true, BankPlace::kSharded);
  config.run.save_minutes = here.first() ? 1e-9 : 1e9;
  CheckpointCounter recorder;
  EXPECT_TRUE(pretrain(config, *train, nullptr, recorder).finished);
  if (!here.first()) return;
  EXPECT_GE(recorder.checkpoints, 8) << "before most of the 10 steps, and after the epochs";
}

// A weight of one rank has changed as only a fault can change it: found after the epoch.
RANKS_TEST(PretrainRanks, WeightsThatDriftApartAreFound, 4) {
  Ranked here;
  const auto train = open_synthetic(kSet, SyntheticSplit::kTrain, 12);
  const PretrainConfig config = config_of(here, "drift", true);
  PretrainTask task(config, *train, nullptr);
  task.after_epoch();
  if (here.ranks->ranks().rank == 2) {
    TensorFile state = task.state();
    const auto weight = std::ranges::find_if(
        state.tensors, [](const auto& item) { return item.second.dtype() == DType::kF32; });
    weight->second = weight->second.clone();
    weight->second.span<float>()[0] += 1e-3F;
    task.load_state(state, "a fault");
  }
  const std::string why = error_of([&] { task.after_epoch(); });
  EXPECT_NE(why.find("rank 2 has other weights, bank or graph than the rest"), std::string::npos)
      << why;
}

// One group over all ranks: the loss of one rank, from the start and gone on with on one. The rate
// is low: training makes rounding grow, on one rank too.
RANKS_TEST(PretrainRanks, OneGroupOverAllRanksHasTheLossOfOneRank, 2, 4) {
  Ranked here;
  here.groups = 1;
  const auto set = open_synthetic(kSet, SyntheticSplit::kTrain, 51);
  const auto queries = open_synthetic(kSet, SyntheticSplit::kVal, 30);
  const Holed train(*set, {7, 20, 33});
  const auto run = [&](const std::string& name, bool shared, std::int64_t stop) {
    PretrainConfig config = config_of(here, name, shared);
    config.learning_rate = 1e-5;
    config.run.resume = "auto";
    Recorder recorder;
    recorder.stop_at = stop;
    pretrain(config, train, queries.get(), recorder);
    return recorder;
  };
  const Recorder all = run("all", true, 0);
  run("part", true, 4);
  here.settle();
  if (!here.first()) return;
  const Recorder rest = run("part", false, 0);
  const Recorder alone = run("alone", false, 0);
  ASSERT_EQ(alone.steps.size(), 10U);
  expect_close_reports(all, alone);
  expect_close_reports(rest, alone, 4);
}

/// Asks to stop once it has been asked so often itself: about once a step.
class StopsLater final : public Recorder {
 public:
  explicit StopsLater(std::int64_t questions) : left_(questions) {}
  bool stop_requested() const override { return left_-- <= 0; }

 private:
  mutable std::int64_t left_;
};

// One rank after another is told to, at twenty moments in turn.
RANKS_TEST(PretrainRanks, AnyRankStopsAllBeforeTheSameStep, 3) {
  Ranked here;
  const auto train = open_synthetic(kSet, SyntheticSplit::kTrain, 51);
  const auto run = [&](const std::string& name, RunObserver& observer, bool resume) {
    PretrainConfig config = config_of(here, name, true);
    config.epochs = 5;
    if (resume) config.run.resume = "auto";
    return pretrain(config, *train, nullptr, observer);
  };
  Recorder recorder;
  const RunResult whole = run("whole", recorder, false);
  std::int64_t before = -1;
  for (int moment = 0; moment < 20; ++moment) {
    SCOPED_TRACE(moment);
    const std::string name = message("stop-", moment);
    StopsLater stops(moment % 3 == here.ranks->ranks().rank ? moment : 1'000'000);
    const RunResult result = run(name, stops, false);
    EXPECT_FALSE(result.finished);
    const std::vector<std::int64_t> steps = gather_numbers(*here.ranks, "steps", result.steps);
    EXPECT_EQ(std::ranges::count(steps, steps[0]), 3) << "all after the same step";
    EXPECT_GE(result.steps, before) << "later moments, later steps";
    before = result.steps;
    if (moment % 6 != 5) continue;
    Recorder rest;
    const RunResult end = run(name, rest, true);
    EXPECT_TRUE(end.finished);
    if (here.first()) expect_same_tensors(end.checkpoint, whole.checkpoint);
    here.settle();
  }
  EXPECT_GT(before, 10);
}

// Fewer images than ranks; groups and ranks without any.
void expect_few_images(BankPlace bank) {
  Ranked here;
  const auto train = open_synthetic(kSet, SyntheticSplit::kTrain, 3);
  Recorder shared;
  const RunResult result =
      pretrain(config_of(here, "shared", true, bank), *train, train.get(), shared);
  if (!here.first()) return;
  Recorder alone;
  const RunResult want =
      pretrain(config_of(here, "alone", false, bank), *train, train.get(), alone);
  ASSERT_EQ(shared.steps.size(), 2U);
  EXPECT_EQ(shared.steps.front().images, 3);
  expect_same_reports(shared, alone);
  expect_same_tensors(result.checkpoint, want.checkpoint);
}
RANKS_TEST(PretrainRanks, FewerImagesThanRanks, 4) {
  expect_few_images(BankPlace::kReplicated);
}
RANKS_TEST(PretrainRanks, FewerRowsThanShards, 4) {
  expect_few_images(BankPlace::kSharded);
}

// Too many are bad all together, not on any one rank: all ranks end, at the step where one rank
// would, with its words.
RANKS_TEST(PretrainRanks, TooManyBadImagesEndAllRanksWhereTheyEndOne, 4) {
  Ranked here;
  const auto set = open_synthetic(kSet, SyntheticSplit::kTrain, 48);
  const Holed train(*set, {1, 2, 3, 5, 8, 13, 21, 34});
  const auto words = [&](bool shared) {
    Recorder recorder;
    try {
      PretrainConfig config = config_of(here, shared ? "shared" : "alone", shared);
      config.bank_start = BankStart::kRandom;
      config.center_head = false;
      config.max_bad_share = 0.1;
      pretrain(config, train, nullptr, recorder);
    } catch (const Error& error) {
      return message(recorder.steps.size(), " steps, ", error.what());
    }
    return std::string("nothing");
  };
  const std::string shared = words(true);
  EXPECT_NE(shared.find("cut short"), std::string::npos) << shared;
  if (!here.first()) return;
  EXPECT_EQ(shared, words(false));
}

}  // namespace
}  // namespace invp::testing
