// The run itself, with a task of three numbers: where it ends, what it saves, how it goes on, and
// what it refuses before it writes anything.
#include "invp/run/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <fstream>
#include <functional>
#include <limits>
#include <memory>
#include <set>
#include <stdexcept>

#include "engine/core/stop.h"
#include "engine/files/safetensors.h"
#include "invp/run/checkpoint.h"
#include "invp/run/run_folder.h"
#include "tests/support/devices.h"
#include "tests/support/recorder.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

void stop_now() {
  request_stop(SIGTERM);
  check_stop();
}

/// Epochs of four batches; the last has one image, the others two.
class Batches final : public BatchSource {
 public:
  std::int64_t images_per_epoch() const override { return 7; }
  std::int64_t batches_per_epoch() const override { return 4; }
  void start_epoch(std::int64_t, std::int64_t first_batch) override { next_ = first_batch; }
  std::optional<Batch> next() override {
    if (next_ == 4) return std::nullopt;
    if (next_ == stop_before) stop_now();
    Batch batch;
    batch.position = next_++;
    for (std::int64_t i = 2 * batch.position; i < std::min<std::int64_t>(7, 2 * next_); ++i)
      batch.indices.push_back(i);
    return batch;
  }

  std::int64_t stop_before = -1;  ///< the batch that a stop keeps waiting

 private:
  std::int64_t next_ = 0;
};

/// Moves three weights toward the number of the step. `bad_step`: its loss is NaN.
class Numbers final : public Task {
 public:
  explicit Numbers(Device device = kCpu)
      : weight_(Tensor::zeros({3}, DType::kF32, device)),
        optimizer_({{.parameters = {{"w", weight_}}, .hyper = {.lr = 0.5, .momentum = 0.9}}}),
        queue_(1, device) {}

  Device device() const override { return weight_.device(); }
  double learning_rate(const Progress& progress) const override {
    return 1.0 / static_cast<double>(1 + progress.step);
  }
  void prepare(BatchSource&, const PhaseProgress&) override {
    if (stop_in_preparation) stop_now();
    ++prepared;
  }
  void step(const Batch&, const Progress& progress) override {
    seen.push_back(progress);
    queue_.begin();
    const auto target = static_cast<float>(progress.step);
    Tensor gradient = weight_.to(kCpu).clone();
    for (float& value : gradient.span<float>()) value -= target;
    weight_.set_grad(gradient.to(device()));
    const bool bad = progress.step == bad_step;
    const float loss = bad ? std::numeric_limits<float>::quiet_NaN() : target;
    queue_.log(Tensor::full({1}, loss, device()), {});
    optimizer_.set_learning_rate(0, learning_rate(progress));
    optimizer_.step({.halted = queue_.halted()});
    queue_.end();
    *count_.data<float>() += 1;
  }
  std::vector<StepLosses> finish() override { return queue_.finish(); }
  Evaluation evaluate(const PhaseProgress&) override {
    if (fail_to_evaluate) fail("evaluation failed");
    if (stop_in_evaluation) stop_now();
    // Best after the second epoch's four steps.
    return {.measures = {{"score", -std::abs(static_cast<double>(count_.item()) - 8)}}};
  }
  std::vector<Measure> after_epoch() override { return {{"extra", 5}}; }
  std::string advice() const override { return "advice"; }
  TensorFile state() const override {
    TensorFile file;
    file.tensors.emplace_back("weight", weight_.to(kCpu));
    file.tensors.emplace_back("count", count_);
    return file;
  }
  void load_state(const TensorFile& state, const std::string& origin) override {
    const Tensor* const weight = state.find("weight");
    CHECK(weight != nullptr, origin, ": no weight");
    weight_.copy_from(weight->to(device()));
    count_.copy_from(*state.find("count"));
  }
  Sgd& optimizer() override { return optimizer_; }

  std::vector<float> weights() const {
    const Tensor host = weight_.to(kCpu);
    return {host.span<float>().begin(), host.span<float>().end()};
  }

  std::vector<Progress> seen;
  int prepared = 0;
  std::int64_t bad_step = -1;
  bool fail_to_evaluate = false;
  bool stop_in_evaluation = false;
  bool stop_in_preparation = false;

 private:
  Tensor weight_;
  Tensor count_ = Tensor::zeros({}, DType::kF32, kCpu);  ///< of steps
  Sgd optimizer_;
  StepQueue queue_;
};

class RunTest : public ::testing::Test {
 protected:
  RunTest() {
    config.command = "invp test";
    config.epochs = 3;
    config.shown = {{.name = "score", .heading = "score"}};
    config.best_by = "score";
    config.identity.entries = {{.name = "lr", .value = "0.5"}, {.name = "epochs", .value = "3"}};
    config.out = folder / "run";
  }

  RunResult run(Numbers& task) { return run_task(config, batches, task, recorder); }
  RunResult run() {
    Numbers task;
    return run(task);
  }
  std::string error_of_run() {
    return error_of([&] { run(); });
  }
  std::string last() const { return config.out / "checkpoints" / "last.safetensors"; }
  /// Every file below the run folder, with its content.
  std::map<std::string, std::string> everything() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(config.out)) {
      if (entry.is_regular_file()) files[entry.path()] = read_all(entry.path());
    }
    return files;
  }

  /// Runs, which a stop ends, then resumes; expects the bytes and the reports of a run that nobody
  /// stopped. Returns the task of the second part.
  std::unique_ptr<Numbers> expect_resumed_after_stop(Numbers& stopped) {
    EXPECT_FALSE(run(stopped).finished);
    EXPECT_EQ(stop_signal(), SIGTERM);
    EXPECT_FALSE(unsaved_work());
    forget_stop();
    batches.stop_before = -1;
    config.resume = "auto";
    auto resumed = std::make_unique<Numbers>();
    EXPECT_TRUE(run(*resumed).finished);
    const std::string ended = read_all(last());
    config.out = folder / "whole";
    config.resume = "";
    run();
    EXPECT_TRUE(ended == read_all(last()));
    return resumed;
  }

  TempFolder folder;
  RunConfig config;
  Batches batches;
  Recorder recorder;
};

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

TEST_F(RunTest, GoesOnFromTheCheckpointThatIsFurthestOn) {
  config.save_every = 1;
  run();
  const fs::path checkpoints = config.out / "checkpoints";
  EXPECT_EQ(find_checkpoint(config.out, recorder)->path, checkpoints / "last.safetensors");
  fs::remove(last());
  // The youngest file is not the one that is furthest on.
  fs::last_write_time(checkpoints / "epoch-0001.safetensors", fs::file_time_type::clock::now());
  EXPECT_EQ(find_checkpoint(config.out, recorder)->path, checkpoints / "epoch-0003.safetensors");
  fs::resize_file(checkpoints / "epoch-0003.safetensors", 100);
  EXPECT_EQ(steps_taken(find_checkpoint(config.out, recorder)->file.metadata), 8);
  EXPECT_THAT(recorder.notes, Contains(HasSubstr("epoch-0003")));
}

/// Ends the run after so many checkpoints, as a kill would: nothing more is written.
class Killer final : public RunObserver {
 public:
  explicit Killer(int after) : left_(after) {}
  void checkpoint_written(const std::string&) override {
    if (--left_ == 0) throw std::runtime_error("killed");
  }

 private:
  int left_;
};

TEST_F(RunTest, KilledAfterAnyCheckpointItLeavesTheFilesOfAWholeRun) {
  for (const int evaluate_every : {1, 0}) {
    config.evaluate_every = evaluate_every;
    config.save_every = 2;
    config.resume = "";
    config.out = folder / message("whole", evaluate_every);
    run();
    std::map<std::string, std::string> whole;
    for (const auto& [path, content] : everything()) whole[fs::path(path).filename()] = content;
    EXPECT_EQ(whole.size(), evaluate_every == 1 ? 4u : 3u);
    bool killed = true;
    for (int after = 1; killed; ++after) {
      config.out = folder / message("killed", evaluate_every, "-", after);
      config.resume = "";
      Killer killer(after);
      Numbers task;
      killed = false;
      try {
        run_task(config, batches, task, killer);
      } catch (const std::runtime_error&) {
        killed = true;
      }
      folder.write(message(config.out.filename().string(), "/checkpoints/x.partial"), "left over");
      config.resume = "auto";
      run();
      std::map<std::string, std::string> files;
      for (const auto& [path, content] : everything()) files[fs::path(path).filename()] = content;
      EXPECT_TRUE(files == whole) << "killed after checkpoint " << after;
    }
  }
}

TEST_F(RunTest, FilesThatAreEqualAreOneOnTheDisk) {
  config.save_every = 1;
  run();
  const fs::path checkpoints = config.out / "checkpoints";
  EXPECT_TRUE(
      fs::equivalent(checkpoints / "best.safetensors", checkpoints / "epoch-0002.safetensors"));
  EXPECT_TRUE(fs::equivalent(last(), checkpoints / "epoch-0003.safetensors"));
  EXPECT_FALSE(fs::equivalent(last(), checkpoints / "best.safetensors"));
}

TEST_F(RunTest, ADamagedCheckpointIsPassedOverAndSaysWhy) {
  config.save_every = 1;
  run();
  const std::string whole = read_all(last());
  std::string bytes = whole;
  bytes.back() ^= 1;
  fs::remove(last());
  std::ofstream(last(), std::ios::binary) << bytes;
  config.resume = last();
  EXPECT_THAT(error_of_run(), AllOf(HasSubstr("last.safetensors: at byte"),
                                    HasSubstr("does not have its checksum")));
  fs::remove(config.out / "checkpoints" / "epoch-0003.safetensors");
  config.resume = "auto";
  recorder = {};
  Numbers again;
  EXPECT_TRUE(run(again).finished);
  EXPECT_THAT(recorder.notes, Contains(AllOf(HasSubstr("passed over: "), HasSubstr(last()),
                                             HasSubstr("does not have its checksum"))));
  EXPECT_EQ(again.seen.size(), 4u) << "the last epoch is trained again";
  EXPECT_TRUE(read_all(last()) == whole);
}

TEST_F(RunTest, OnlyTheTensorsOfTheRunAreTaken) {
  config.stop_after = 2;
  run();
  const TensorFile good = read_safetensors(last());
  config.resume = last();
  const auto refusal = [&](const std::function<void(TensorFile&)>& change) {
    TensorFile file = good;
    change(file);
    write_safetensors(last(), file);
    return error_of_run();
  };
  const auto rename = [](TensorFile& file, const std::string& from, const std::string& to) {
    for (auto& [name, tensor] : file.tensors) name = name == from ? to : name;
  };
  EXPECT_THAT(refusal([&](TensorFile& f) { rename(f, "weight", "wait"); }),
              AllOf(HasSubstr("last.safetensors"), HasSubstr("no tensor 'weight'")));
  EXPECT_THAT(refusal([](TensorFile& f) { f.tensors.emplace_back("new", Tensor::zeros({1})); }),
              HasSubstr("tensor 'new' is none of this run's"));
  EXPECT_THAT(refusal([&](TensorFile& f) { rename(f, "optimizer.w", "optimizer.v"); }),
              HasSubstr("momentum of 'v'"));
  EXPECT_THAT(refusal([](TensorFile& f) {
                std::erase_if(f.tensors, [](const auto& t) { return t.first == "optimizer.w"; });
              }),
              HasSubstr("no momentum after 2 steps"));
  EXPECT_THAT(refusal([](TensorFile& f) { f.tensors[0].second = Tensor::zeros({4}); }),
              AllOf(HasSubstr("'weight' is"), HasSubstr("(4)"), HasSubstr("(3)")));
  EXPECT_THAT(refusal([](TensorFile& f) { f.metadata["position.step"] = "5"; }),
              HasSubstr("step 5 of an epoch of 4"));
  EXPECT_THAT(refusal([](TensorFile& f) { f.metadata["position.global_step"] = "3"; }),
              HasSubstr("3 steps were taken until step 2 of epoch 1"));
  write_safetensors(last(), good);
  config.stop_after = 0;
  EXPECT_TRUE(run().finished);
}

/// Tries to start a second run in the same folder in the middle of the first.
class Intruder final : public RunObserver {
 public:
  explicit Intruder(std::function<void()> second) : second_(std::move(second)) {}
  void step_finished(const StepReport& report) override {
    if (report.global_step == 2) second_();
  }

 private:
  std::function<void()> second_;
};

TEST_F(RunTest, TwoRunsDoNotShareAFolder) {
  std::string refusal;
  std::string lock;
  Intruder intruder([&] {
    lock = read_all(config.out / "writing");
    RunConfig other = config;
    other.resume = "auto";
    Batches more;
    Numbers task;
    refusal = error_of([&] { run_task(other, more, task, recorder); });
  });
  Numbers task;
  EXPECT_TRUE(run_task(config, batches, task, intruder).finished);
  EXPECT_THAT(refusal, AllOf(HasSubstr(config.out.string()), HasSubstr("is writing to this run"),
                             HasSubstr(message("process ", getpid()))));
  EXPECT_THAT(lock, HasSubstr(message("process ", getpid())));
  // A file left by a process that was killed holds nobody up.
  std::ofstream(config.out / "writing") << "process 1 on a machine that is gone";
  config.resume = "auto";
  EXPECT_TRUE(run().finished);
}

}  // namespace
}  // namespace invp::testing
