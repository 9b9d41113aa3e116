// The run itself, with a task of three numbers: where it ends, how it goes on, and what it refuses
// before it writes anything.
#include "invp/run/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/files/safetensors.h"
#include "tests/invp/run/numbers_run.h"
#include "tests/support/devices.h"

namespace invp::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

TEST_F(RunTest, AStopIsHeardInAWaitForImages) {
  batches.stop_before = 2;
  Numbers stopped;
  const auto resumed = expect_resumed_after_stop(stopped);
  EXPECT_EQ(std::ssize(stopped.seen), 2);
  EXPECT_EQ(resumed->seen.front().step, 2);
  EXPECT_EQ(resumed->prepared, 0);
}

TEST_F(RunTest, AStopIsHeardInAWaitForTheFirstImages) {
  batches.stop_before = 0;
  Numbers stopped;
  const auto resumed = expect_resumed_after_stop(stopped);
  EXPECT_EQ(stopped.prepared, 1);
  EXPECT_EQ(resumed->prepared, 0) << "the checkpoint is of a task that was prepared";
}

TEST_F(RunTest, AStopIsHeardInAnEvaluation) {
  Numbers stopped;
  stopped.stop_in_evaluation = true;
  const auto resumed = expect_resumed_after_stop(stopped);
  EXPECT_EQ(std::ssize(stopped.seen), 4);
  EXPECT_EQ(resumed->seen.front().step, 4);
}

TEST_F(RunTest, AStopIsHeardInThePreparation) {
  Numbers stopped;
  stopped.stop_in_preparation = true;
  const auto resumed = expect_resumed_after_stop(stopped);
  EXPECT_EQ(stopped.prepared + std::ssize(stopped.seen), 0);
  EXPECT_EQ(resumed->prepared, 1);
}

TEST_F(RunTest, WalksThroughEpochsAndKeepsTheBest) {
  Numbers task;
  const RunResult result = run(task);
  EXPECT_TRUE(result.finished);
  EXPECT_EQ(result.epoch, 3);
  EXPECT_EQ(result.steps, 12);
  EXPECT_EQ(task.prepared, 1);
  ASSERT_EQ(recorder.steps.size(), 12u);
  EXPECT_EQ(recorder.steps[5].loss, 5);
  EXPECT_EQ(recorder.steps[5].learning_rate, 1.0 / 6);
  EXPECT_EQ(task.seen[5].epoch, 2);
  EXPECT_EQ(task.seen[5].epoch_step, 1);
  EXPECT_EQ(task.seen[5].steps_per_epoch, 4);
  // Steps 4 to 7, of 2, 2, 2 and 1 images.
  EXPECT_DOUBLE_EQ(recorder.epochs[1].loss, (4 * 2 + 5 * 2 + 6 * 2 + 7) / 7.0);
  EXPECT_EQ(*find_measure(recorder.epochs[1].measures, "score"), 0);
  EXPECT_EQ(*find_measure(recorder.epochs[1].measures, "extra"), 5);
  EXPECT_EQ(result.best.at("score").epoch, 2);
  EXPECT_TRUE(fs::exists(config.out / "checkpoints" / "best.safetensors"));
  EXPECT_EQ(std::ranges::count(recorder.notes, "advice"), 1);
  EXPECT_FALSE(fs::exists(config.out / "writing"));
}

TEST_F(RunTest, EndsAfterItsStepsInsideAnEpochToo) {
  for (const std::int64_t steps : {1, 4, 6}) {
    config.steps = steps;
    config.out = folder / message("steps", steps);
    recorder = {};
    Numbers task;
    const RunResult result = run(task);
    EXPECT_TRUE(result.finished);
    EXPECT_EQ(result.steps, steps);
    EXPECT_EQ(std::ssize(task.seen), steps);
    EXPECT_EQ(std::ssize(recorder.epochs), (steps + 3) / 4);
    EXPECT_NE(find_measure(recorder.epochs.back().measures, "score"), nullptr) << "evaluated";
    config.resume = "auto";
    Numbers again;
    run(again);
    EXPECT_TRUE(again.seen.empty());
    EXPECT_THAT(recorder.notes, Contains(HasSubstr("nothing left to train")));
    config.resume = "";
  }
}

TEST_F(RunTest, ResumedAnywhereItEndsInTheSameBytes) {
  run();
  const std::string whole = read_all(last());
  for (std::int64_t stop = 1; stop < 12; ++stop) {
    config.out = folder / message("part", stop);
    config.stop_after = stop;
    config.resume = "";
    EXPECT_FALSE(run().finished);
    config.stop_after = 0;
    config.resume = "auto";
    Numbers second;
    const RunResult result = run(second);
    EXPECT_EQ(second.prepared, 0);
    EXPECT_EQ(std::ssize(second.seen), 12 - stop);
    EXPECT_EQ(result.best.at("score").epoch, 2);
    EXPECT_EQ(read_all(last()), whole) << stop;
  }
}

TEST_F(RunTest, AFileOfAnotherRunDoesNotReplaceTheRunThatIsThere) {
  config.stop_after = 5;
  run();
  const std::string first = last();
  config.out = folder / "second";
  run();
  const auto before = everything();
  config.resume = first;
  EXPECT_THAT(error_of_run(), AllOf(HasSubstr("holds a run already"), HasSubstr(first)));
  EXPECT_EQ(everything(), before);
  // Its own checkpoints go on, and so does that of another run in a new folder.
  config.stop_after = 0;
  config.resume = last();
  EXPECT_TRUE(run().finished);
  config.resume = first;
  config.out = folder / "third";
  EXPECT_TRUE(run().finished);
}

// An epoch can take days; a broken validation set must not cost it.
TEST_F(RunTest, AnEpochIsNotLostWhereEvaluationFails) {
  for (const std::int64_t steps : {0, 6}) {  // to the end of the epochs, and inside one
    config.steps = steps;
    config.resume = "";
    config.out = folder / message("whole", steps);
    run();
    const std::string whole = read_all(last());
    config.out = folder / message("failed", steps);
    Numbers failing;
    failing.fail_to_evaluate = true;
    EXPECT_THAT(error_of([&] { run(failing); }), HasSubstr("evaluation failed"));
    recorder = {};
    config.resume = "auto";
    Numbers resumed;
    EXPECT_TRUE(run(resumed).finished);
    EXPECT_EQ(resumed.seen.front().step, 4) << "the first epoch's steps are not taken again";
    EXPECT_EQ(recorder.epochs.front().epoch, 1) << "but it is evaluated";
    EXPECT_EQ(read_all(last()), whole);
  }
}

TEST_F(RunTest, ALossThatIsNotFiniteChangesNothing) {
  for (const Device device : available_devices()) {
    config.out = folder / message("run", device == kCpu ? 0 : 1);
    config.resume = "";
    config.stop_after = 5;
    Numbers good(device);
    run(good);
    const std::string before = read_all(last());
    config.stop_after = 0;
    config.resume = "auto";
    Numbers bad(device);
    bad.bad_step = 5;
    EXPECT_THAT(error_of([&] { run(bad); }),
                AllOf(HasSubstr("not finite"), HasSubstr("epoch 2, step 2"),
                      HasSubstr("Lower --lr"), HasSubstr(config.out.string())));
    EXPECT_EQ(bad.weights(), good.weights());
    EXPECT_EQ(read_all(last()), before);
  }
}

TEST_F(RunTest, RefusesAnotherRunBeforeItWritesAnything) {
  config.stop_after = 2;
  run();
  const auto before = everything();
  config.files = {{"list.txt", "new"}};
  EXPECT_THAT(error_of_run(), HasSubstr("holds a run already"));
  config.resume = "auto";
  config.identity.entries[0].value = "0.25";
  EXPECT_THAT(error_of_run(),
              AllOf(HasSubstr("last.safetensors"), HasSubstr("--lr 0.5"), HasSubstr("--lr 0.25")));
  config.identity.entries[0].value = "0.5";
  config.identity.entries.push_back({.name = "momentum", .value = "0.8", .otherwise = "0.9"});
  EXPECT_THAT(error_of_run(), AllOf(HasSubstr("--momentum 0.9"), HasSubstr("--momentum 0.8")));
  config.identity.entries.back().value = "0.9";
  config.command = "invp other";
  EXPECT_THAT(error_of_run(), HasSubstr("not a checkpoint of invp other"));
  config.command = "invp test";
  config.resume = folder / "nowhere.safetensors";
  EXPECT_THAT(error_of_run(), HasSubstr("no such checkpoint"));
  EXPECT_EQ(everything(), before);

  config.resume = "auto";
  config.stop_after = 0;
  EXPECT_TRUE(run().finished);
  EXPECT_EQ(read_all(config.out / "list.txt"), "new");
}

TEST_F(RunTest, MoreEpochsAreTakenWhereTheScheduleAllows) {
  run();
  config.resume = "auto";
  config.epochs = 5;
  config.identity.entries[1].value = "5";
  config.identity.epochs_fixed_by = "because of the schedule";
  EXPECT_THAT(error_of_run(), AllOf(HasSubstr("--epochs 3"), HasSubstr("--epochs 5"),
                                    HasSubstr("because of the schedule")));
  config.identity.epochs_fixed_by = "";
  const RunResult result = run();
  EXPECT_EQ(result.epoch, 5);
  // Fewer than were trained make no sense.
  config.identity.entries[1].value = "2";
  EXPECT_THAT(error_of_run(), HasSubstr("--epochs 2"));
}

}  // namespace
}  // namespace invp::testing
