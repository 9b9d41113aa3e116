// What ranks agree on between steps: when a checkpoint is written, and who is waited for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/sets/synthetic_dataset.h"
#include "invp/protocols/linear/linear.h"
#include "tests/ranks/ranked.h"

namespace invp::testing {
namespace {

constexpr SyntheticOptions kSet{.classes = 4, .size = 16};

LinearConfig config_of(const Ranked& here, const std::string& name) {
  LinearConfig config;
  config.augment = {.image_size = 16};
  config.evaluation = {.image_size = 16};
  config.taps = {9};
  config.epochs = 2;
  config.batch_size = 12;
  config.learning_rate = 0.5;
  config.milestones = {};
  config.bn_groups = here.groups;
  config.run.out = here.out(name);
  config.run.ranks.communicator = here.ranks;
  return config;
}

void run(const LinearConfig& config, RunObserver& observer) {
  const auto train = open_synthetic(kSet, SyntheticSplit::kTrain, 60);
  const auto validation = open_synthetic(kSet, SyntheticSplit::kVal, 12);
  ResNet network({.arch = Arch::kResNet18Cifar, .width = 4, .dim = 8, .seed = 5});
  run_linear(network, config, *train, *validation, observer);
}

// Rank 0's clock is always due, that of the others never, and the other way round.
RANKS_TEST(Tickets, Rank0sClockSaysWhenAllSave, 2, 4) {
  Ranked here;
  for (const bool due : {true, false}) {
    LinearConfig config = config_of(here, due ? "due" : "not-due");
    config.run.save_minutes = here.first() == due ? 0 : 1e6;
    std::vector<std::string> saved;
    config.run.ranks.entering = [&](const char* phase, std::int64_t step) {
      if (phase == std::string("checkpoint")) saved.push_back(std::to_string(step));
    };
    Recorder recorder;
    run(config, recorder);
    // 5 steps an epoch: before each step but the first of the run, before an evaluation, after it.
    const std::vector<std::string> want =
        due ? std::vector<std::string>{"1", "2", "3", "4", "5", "5", "6", "7", "8", "9", "10", "10"}
            : std::vector<std::string>{"5", "5", "10", "10"};
    for (const std::string& of_rank : gather_text(*here.ranks, "saved", packed(saved)))
      EXPECT_THAT(unpacked(of_rank), ::testing::ElementsAreArray(want)) << due;
  }
}

RANKS_TEST(Tickets, ANoteOnWhoIsWaitedForComesFromRank0, 2) {
  Ranked here;
  LinearConfig config = config_of(here, "note");
  const RunRanks bare{.communicator = here.ranks};
  config.run.ranks.exchange = [&](const StepTicket& mine) {
    StepTicket total = exchange_tickets(bare, mine);
    if (mine.step == 3) total.note = "rank 1 (here) keeps the others waiting";
    return total;
  };
  Recorder recorder;
  run(config, recorder);
  const auto told = ::testing::Contains("rank 1 (here) keeps the others waiting");
  if (here.first())
    EXPECT_THAT(recorder.notes, told);
  else
    EXPECT_THAT(recorder.notes, ::testing::IsEmpty());
}

}  // namespace
}  // namespace invp::testing
