// The files of a run: which checkpoint it goes on from, what a kill leaves, what is passed over.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <stdexcept>

#include "engine/core/numerics.h"
#include "engine/core/parallel.h"
#include "engine/files/safetensors.h"
#include "invp/run/checkpoint.h"
#include "invp/run/run_folder.h"
#include "tests/invp/run/numbers_run.h"

namespace invp::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

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

TEST_F(RunTest, ARunThatGoesOnElsewhereSaysSo) {
  config.stop_after = 2;
  set_num_threads(1);
  run();
  EXPECT_EQ(read_safetensors(last()).metadata.at("computed.threads"), "1");
  TensorFile elsewhere = read_safetensors(last());
  elsewhere.metadata["computed.threads"] = "77";
  elsewhere.metadata["computed.oneDNN"] = "1.0";
  write_safetensors(last(), elsewhere);
  config.resume = "auto";
  const Numerics before = numerics();
  set_numerics({.deterministic = true});
  EXPECT_THAT(error_of_run(), AllOf(HasSubstr("last.safetensors"), HasSubstr("--deterministic"),
                                    HasSubstr("threads 1, was 77")));
  set_numerics(before);
  recorder = {};
  run();
  EXPECT_THAT(recorder.notes,
              Contains(AllOf(HasSubstr("the last bits may differ"), HasSubstr("threads 1, was 77"),
                             HasSubstr("was 1.0"))));
  recorder = {};
  config.stop_after = 4;
  run();
  EXPECT_THAT(recorder.notes, ::testing::Not(Contains(HasSubstr("last bits")))) << "the same place";
  set_num_threads(0);
}

TEST_F(RunTest, ACheckpointWithoutChecksumsThatCannotBeIsPassedOverToo) {
  config.save_every = 1;
  run();
  const std::string whole = read_all(last());
  fs::remove(config.out / "checkpoints" / "epoch-0003.safetensors");
  TensorFile file = read_safetensors(last());
  file.metadata["position.step"] = "5";
  write_safetensors(last(), file);
  config.resume = "auto";
  recorder = {};
  EXPECT_TRUE(run().finished);
  EXPECT_THAT(recorder.notes, Contains(AllOf(HasSubstr("passed over: "), HasSubstr(last()),
                                             HasSubstr("step 5 of an epoch of 4"))));
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
