// The run as a library: resuming to the bit at every step, learning, and what stops it. The
// program's side (signals, kill -9, full disks) is in tests/tools/pretrain_test.cpp.
#include "invp/pretrain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/image_folder.h"
#include "data/synthetic/synthetic.h"
#include "data/synthetic/synthetic_dataset.h"
#include "engine/files/safetensors.h"
#include "invp/checkpoint.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {
namespace {

using ::testing::HasSubstr;

/// Keeps what it is told.
class Recorder : public RunObserver {
 public:
  void step_finished(const StepReport& report) override { steps.push_back(report); }
  void epoch_finished(const EpochReport& report) override { epochs.push_back(report); }
  void note(const std::string& line) override { notes.push_back(line); }
  bool stop_requested() const override { return stop_at > 0 && std::ssize(steps) >= stop_at; }

  std::vector<StepReport> steps;
  std::vector<EpochReport> epochs;
  std::vector<std::string> notes;
  std::int64_t stop_at = 0;
};

constexpr SyntheticOptions kSet{.classes = 4, .size = 16};

PretrainConfig small_run(const std::filesystem::path& out) {
  PretrainConfig config;
  config.network = {.arch = Arch::kResNet18Cifar, .width = 4, .dim = 16};
  config.objective.background = 32;
  config.objective.hard_positives = 5;
  config.objective.warm_epochs = 1;
  config.augment = augment_preset("cifar");
  config.augment.image_size = 16;
  config.evaluation = augment_preset("eval-cifar");
  config.evaluation.image_size = 16;
  config.epochs = 3;
  config.batch_size = 20;
  config.knn_k = 10;
  config.out = out;
  return config;
}

class PretrainTest : public ::testing::Test {
 protected:
  const std::unique_ptr<Dataset> train = open_synthetic(kSet, SyntheticSplit::kTrain, 50);
  const std::unique_ptr<Dataset> validation = open_synthetic(kSet, SyntheticSplit::kVal, 12);
  TempFolder folder;
};

TEST_F(PretrainTest, ResumedAnywhereItEndsInTheSameBits) {
  Recorder whole;
  const PretrainResult want =
      pretrain(small_run(folder / "whole"), *train, validation.get(), whole);
  EXPECT_TRUE(want.finished);
  ASSERT_EQ(whole.steps.size(), 9u);  // three epochs of 20, 20 and 10 images
  EXPECT_EQ(whole.steps.back().images, 10);
  ASSERT_EQ(whole.epochs.size(), 3u);
  EXPECT_EQ(whole.epochs[0].loss_inv, 0);  // T = 1: the instance loss alone
  EXPECT_GT(whole.epochs[2].loss_inv, 0);
  EXPECT_TRUE(whole.epochs[2].knn_top1.has_value());
  const std::string bytes = read_all(want.checkpoint);
  for (std::int64_t stop = 1; stop <= 8; ++stop) {
    SCOPED_TRACE(stop);
    PretrainConfig config = small_run(folder / message("part", stop));
    config.workers = static_cast<int>(stop % 3);  // the number of workers is no part of the result
    Recorder first;
    first.stop_at = stop;
    EXPECT_FALSE(pretrain(config, *train, validation.get(), first).finished);
    Recorder second;
    config.resume = find_checkpoint(config.out, second);
    ASSERT_TRUE(config.resume.has_value());
    const PretrainResult result = pretrain(config, *train, validation.get(), second);
    EXPECT_TRUE(result.finished);
    EXPECT_EQ(first.steps.size() + second.steps.size(), 9u);
    ASSERT_FALSE(second.epochs.empty());
    EXPECT_EQ(second.epochs.back().loss, whole.epochs.back().loss);
    EXPECT_EQ(second.epochs.back().knn_top1, whole.epochs.back().knn_top1);
    // Training time is part of a checkpoint and never the same twice; at the end of an epoch it is
    // zero.
    EXPECT_EQ(read_all(result.checkpoint), bytes);
  }
}

TEST_F(PretrainTest, AFinishedRunSaysSoAndEvaluatesAgain) {
  Recorder first;
  PretrainConfig config = small_run(folder / "run");
  const PretrainResult result = pretrain(config, *train, validation.get(), first);
  Recorder again;
  config.resume = result.checkpoint;
  const PretrainResult repeated = pretrain(config, *train, validation.get(), again);
  EXPECT_TRUE(again.steps.empty());
  EXPECT_EQ(repeated.last.knn_top1, result.last.knn_top1);
  EXPECT_EQ(repeated.last.loss, result.last.loss);
  EXPECT_THAT(again.notes, ::testing::Contains(HasSubstr("nothing left to train")));
}

TEST_F(PretrainTest, LearnsToTellItsImagesApart) {
  PretrainConfig config = small_run(folder / "run");
  config.augment = config.evaluation;  // no augmentation: a set to be learned by heart
  config.objective.no_invariance = true;
  config.epochs = 30;
  config.knn_every = 0;
  Recorder recorder;
  pretrain(config, *train, nullptr, recorder);
  EXPECT_LT(recorder.epochs.back().loss_ins, 0.7 * recorder.epochs[1].loss_ins);
  EXPECT_FALSE(recorder.epochs.back().knn_top1.has_value());
}

TEST_F(PretrainTest, BankMayStartFromFeatures) {
  PretrainConfig config = small_run(folder / "run");
  config.bank_start = BankStart::kFeatures;
  config.center_head = true;
  config.stop_after = 1;
  Recorder recorder;
  const PretrainResult result = pretrain(config, *train, nullptr, recorder);
  const TensorFile file = read_safetensors(result.checkpoint);
  const Tensor& bank = *file.find("bank");
  std::vector<double> mean(16, 0.0);
  for (std::int64_t i = 0; i < 50; ++i) {
    double squares = 0;
    for (std::int64_t d = 0; d < 16; ++d) {
      const double value = bank.data<float>()[i * 16 + d];
      squares += value * value;
      mean[static_cast<std::size_t>(d)] += value / 50;
    }
    EXPECT_NEAR(squares, 1, 1e-4);
  }
  double length = 0;
  for (const double value : mean) length += value * value;
  EXPECT_LT(length, 0.15);  // an uncentred untrained network maps everything to nearly one
                            // direction: 0.9 and more
}

TEST_F(PretrainTest, KeepsNumberedAndBestCheckpoints) {
  PretrainConfig config = small_run(folder / "run");
  config.save_every = 2;
  Recorder recorder;
  const PretrainResult result = pretrain(config, *train, validation.get(), recorder);
  for (const char* name : {"last", "best", "epoch-0002", "epoch-0003"}) {
    EXPECT_TRUE(
        std::filesystem::exists(config.out / "checkpoints" / (std::string(name) + ".safetensors")))
        << name;
  }
  EXPECT_FALSE(std::filesystem::exists(config.out / "checkpoints" / "epoch-0001.safetensors"));
  EXPECT_GE(result.best_knn_top1, *recorder.epochs.back().knn_top1);
}

TEST_F(PretrainTest, RefusesACheckpointOfAnotherRun) {
  PretrainConfig config = small_run(folder / "run");
  config.stop_after = 1;
  Recorder recorder;
  const PretrainResult result = pretrain(config, *train, validation.get(), recorder);
  config.resume = result.checkpoint;
  config.network.width = 8;
  EXPECT_THAT(
      error_of([&] { pretrain(config, *train, nullptr, recorder); }),
      ::testing::AllOf(HasSubstr("last.safetensors"), HasSubstr("width 4, this run has width 8")));
  config.network.width = 4;
  config.learning_rate = 0.5;
  EXPECT_THAT(error_of([&] { pretrain(config, *train, nullptr, recorder); }), HasSubstr("lr 0.03"));
}

TEST_F(PretrainTest, PassesOverWhatIsNotWhole) {
  PretrainConfig config = small_run(folder / "run");
  Recorder recorder;
  pretrain(config, *train, validation.get(), recorder);
  const std::filesystem::path checkpoints = config.out / "checkpoints";
  std::filesystem::resize_file(checkpoints / "last.safetensors", 5000);
  EXPECT_EQ(find_checkpoint(config.out, recorder), checkpoints / "best.safetensors");
  EXPECT_THAT(recorder.notes, ::testing::Contains(HasSubstr("last.safetensors")));
  std::filesystem::resize_file(checkpoints / "best.safetensors", 5);
  EXPECT_THAT(error_of([&] { find_checkpoint(config.out, recorder); }),
              HasSubstr("none of the 2 checkpoints is whole"));
  EXPECT_FALSE(find_checkpoint(folder / "nowhere", recorder).has_value());
}

TEST_F(PretrainTest, StopsAtALossThatIsNotFinite) {
  PretrainConfig config = small_run(folder / "run");
  config.learning_rate = 1e30;
  Recorder recorder;
  EXPECT_THAT(
      error_of([&] { pretrain(config, *train, nullptr, recorder); }),
      ::testing::AllOf(HasSubstr("not finite"), HasSubstr("epoch 1, step"), HasSubstr("--lr")));
}

TEST_F(PretrainTest, SkipsAndListsBrokenImagesUpToAShare) {
  synthesize(folder / "set", {.set = kSet, .train = 60, .val = 8});
  const std::filesystem::path victim =
      folder.path() / "set" / "train" / synthetic_class_name(1) / "000002.jpg";
  ASSERT_TRUE(std::filesystem::exists(victim));
  std::filesystem::resize_file(victim, 10);
  const std::unique_ptr<Dataset> images = open_image_folder(folder / "set/train");
  PretrainConfig config = small_run(folder / "run");
  config.max_bad_share = 0.05;
  Recorder recorder;
  EXPECT_TRUE(pretrain(config, *images, nullptr, recorder).finished);
  EXPECT_EQ(recorder.epochs.back().skipped_images, 1);
  EXPECT_THAT(read_all(config.out / "skipped-images.tsv"), HasSubstr("000002.jpg"));
  config.out = folder / "strict";
  config.max_bad_share = 0.01;
  EXPECT_THAT(error_of([&] { pretrain(config, *images, nullptr, recorder); }),
              HasSubstr("000002.jpg"));
}

}  // namespace
}  // namespace invp::testing
