// A run of a task of three numbers, in a folder of its own.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <limits>
#include <map>
#include <memory>

#include "engine/core/stop.h"
#include "invp/run/run.h"
#include "tests/support/recorder.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {

inline void stop_now() {
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
    for (const auto& entry : std::filesystem::recursive_directory_iterator(config.out)) {
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

}  // namespace invp::testing
