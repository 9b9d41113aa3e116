// The run as a library: resuming to the bit at every step, learning, and what stops it. The
// program's side (signals, kill -9, full disks) is in tests/tools/pretrain_test.cpp.
#include "invp/method/pretrain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "data/sets/image_folder.h"
#include "data/sets/synthetic_dataset.h"
#include "data/synthetic/synthetic.h"
#include "engine/core/numerics.h"
#include "engine/files/safetensors.h"
#include "invp/run/data_wait.h"
#include "invp/run/run_folder.h"
#include "tests/support/devices.h"
#include "tests/support/recorder.h"
#include "tests/support/small_pretrain.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {
namespace {

using ::testing::HasSubstr;

constexpr SyntheticOptions kSet{.classes = 4, .size = 16};

PretrainConfig small_run(const std::filesystem::path& out, Device device = kCpu) {
  PretrainConfig config = testing::small_pretrain(out);
  config.device = device;
  config.epochs = 3;
  config.batch_size = 20;
  config.knn_k = 10;
  return config;
}

double measure(const EpochReport& report, const std::string& name) {
  const double* const value = find_measure(report.measures, name);
  EXPECT_NE(value, nullptr) << name;
  return value == nullptr ? std::nan("") : *value;
}

class PretrainTest : public ::testing::Test {
 protected:
  const std::unique_ptr<Dataset> train = open_synthetic(kSet, SyntheticSplit::kTrain, 50);
  const std::unique_ptr<Dataset> validation = open_synthetic(kSet, SyntheticSplit::kVal, 12);
  TempFolder folder;
};

class PretrainOnDevice : public PretrainTest, public ::testing::WithParamInterface<Device> {
 protected:
  void SetUp() override { set_numerics({.deterministic = true}); }

  static Device device() { return GetParam(); }
};
RUN_ON_EACH_DEVICE(PretrainOnDevice);

TEST_P(PretrainOnDevice, ResumedAnywhereItEndsInTheSameBits) {
  Recorder whole;
  const RunResult want =
      pretrain(small_run(folder / "whole", device()), *train, validation.get(), whole);
  EXPECT_TRUE(want.finished);
  ASSERT_EQ(whole.steps.size(), 9u);  // three epochs of 20, 20 and 10 images
  EXPECT_EQ(whole.steps.back().images, 10);
  ASSERT_EQ(whole.epochs.size(), 3u);
  EXPECT_EQ(measure(whole.epochs[0], "loss_inv"), 0);  // T = 1: the instance loss alone
  EXPECT_GT(measure(whole.epochs[2], "loss_inv"), 0);
  EXPECT_NE(find_measure(whole.epochs[2].measures, "knn_top1"), nullptr);
  EXPECT_NE(find_measure(whole.epochs[0].measures, "positive_purity"),
            nullptr);  // measured before they teach
  EXPECT_NE(find_measure(whole.epochs[2].measures, "hard_positive_purity"), nullptr);
  const std::string bytes = read_all(want.checkpoint);
  const std::vector<std::int64_t> everywhere{1, 2, 3, 4, 5, 6, 7, 8};
  const std::vector<std::int64_t> somewhere{4};  // an emulated GPU is slow
  for (const std::int64_t stop : device() == kCpu ? everywhere : somewhere) {
    SCOPED_TRACE(stop);
    PretrainConfig config = small_run(folder / message("part", stop), device());
    config.workers = static_cast<int>(stop % 3);  // the number of workers is no part of the result
    Recorder first;
    first.stop_at = stop;
    EXPECT_FALSE(pretrain(config, *train, validation.get(), first).finished);
    Recorder second;
    config.run.resume = "auto";
    const RunResult result = pretrain(config, *train, validation.get(), second);
    EXPECT_TRUE(result.finished);
    EXPECT_EQ(first.steps.size() + second.steps.size(), 9u);
    ASSERT_FALSE(second.epochs.empty());
    EXPECT_EQ(second.epochs.back().loss, whole.epochs.back().loss);
    EXPECT_EQ(measure(second.epochs.back(), "knn_top1"), measure(whole.epochs.back(), "knn_top1"));
    EXPECT_EQ(measure(second.epochs.back(), "positive_purity"),
              measure(whole.epochs.back(), "positive_purity"));
    // Training time is part of a checkpoint and never the same twice; at the end of an epoch it is
    // zero.
    EXPECT_EQ(read_all(result.checkpoint), bytes);
  }
}

/// Another set whose pictures take their time.
class SlowSet final : public Dataset {
 public:
  explicit SlowSet(const Dataset& set)
      : Dataset("slow", std::vector<std::int32_t>(static_cast<std::size_t>(set.size()), 0), {"x"}),
        set_(set) {}
  std::string name(std::int64_t index) const override { return set_.name(index); }
  void fetch(std::int64_t index, Sample& sample) const override {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    set_.fetch(index, sample);
  }

 private:
  const Dataset& set_;
};

TEST_F(PretrainTest, ARunThatWaitsForImagesSaysSoOnce) {
  const SlowSet slow(*train);
  PretrainConfig config = small_run(folder / "run");
  config.knn_every = 0;
  config.run.save_steps = 2;
  Recorder recorder;
  pretrain(config, slow, nullptr, recorder);
  const auto told = [](const Recorder& by) {
    return std::ranges::count_if(by.notes,
                                 [](const std::string& n) { return n.starts_with("data wait: "); });
  };
  // On a machine under load the steps may take long enough to hide the images.
  const auto above = std::ranges::count_if(
      recorder.epochs, [](const EpochReport& e) { return e.data_wait > kDataWaitWorthAWord; });
  EXPECT_LE(told(recorder), above > 0 ? 1 : 0);
  if (above == 3) {
    EXPECT_EQ(told(recorder), 1);
  }
  for (const EpochReport& epoch : recorder.epochs) {
    EXPECT_GT(epoch.data_wait * epoch.seconds, 0.5);  // 20 images of 30 ms, before the first step
    EXPECT_LE(epoch.data_wait, 1);
  }
  for (const StepReport& step : recorder.steps) EXPECT_GT(step.data_wait, 0);
  for (const StepReport& step : recorder.steps) EXPECT_LE(step.data_wait, 1);

  // What was waited before a stop inside an epoch still counts behind it.
  Recorder first, second;
  config = small_run(folder / "stopped");
  config.epochs = 1;
  config.knn_every = 0;
  first.stop_at = 2;
  pretrain(config, slow, nullptr, first);
  config.run.resume = "auto";
  pretrain(config, slow, nullptr, second);
  EXPECT_GT(second.epochs[0].data_wait * second.epochs[0].seconds, 0.5);
}

TEST_F(PretrainTest, WhereImagesAreAugmentedChangesNoBit) {
  for (const Device device : available_devices()) {
    std::vector<std::string> checkpoints;
    for (const AugmentOn augment_on : {AugmentOn::kWorkers, AugmentOn::kDevice}) {
      PretrainConfig config =
          small_run(folder / message("run", checkpoints.size(), device == kCpu ? "" : "gpu"));
      config.augment = augment_preset("imagenet");
      config.augment.image_size = 16;
      config.epochs = 1;
      config.device = device;
      config.augment_on = augment_on;
      Recorder recorder;
      checkpoints.push_back(
          read_all(pretrain(config, *train, validation.get(), recorder).checkpoint));
    }
    EXPECT_EQ(checkpoints[0], checkpoints[1]) << device;
  }
}

TEST(DataWaitAdvice, SaysWhatHelpsHere) {
  EXPECT_EQ(data_wait_advice({.share = 0.234, .workers = 1, .cores = 16}),
            "data wait: 23 % of the epoch was spent waiting for images, because 1 loader thread "
            "does not keep up. What helps: --workers 16, a pack of the data set (invp data pack), "
            "--dct-scaling for large JPEGs, a smaller --image-size, more CPU cores");
  EXPECT_EQ(data_wait_advice({.share = 0.5,
                              .workers = 16,
                              .cores = 16,
                              .packed = true,
                              .storage = "from imagefolder, JPEG quality 90"}),
            "data wait: 50 % of the epoch was spent waiting for images, because 16 loader threads "
            "do not keep up. What helps: a pack of pixels (invp data pack --raw), a smaller "
            "--image-size, more CPU cores");
}

// Begun on one device, finished on the other: the same images in the same order, so the next step's
// loss is the same. Those after it may drift apart.
TEST_P(PretrainOnDevice, GoesOnFromACheckpointOfTheCpu) {
  PretrainConfig config = small_run(folder / "run");
  config.epochs = 2;
  Recorder whole;
  pretrain(config, *train, validation.get(), whole);

  config.run.out = folder / "moved";
  config.run.stop_after = 3;
  Recorder first;
  pretrain(config, *train, validation.get(), first);
  config.device = device();
  config.run.stop_after = 0;
  Recorder second;
  config.run.resume = "auto";
  EXPECT_TRUE(pretrain(config, *train, validation.get(), second).finished);
  ASSERT_EQ(second.steps.size(), 3u);
  for (int i = 0; i < 3; ++i)
    EXPECT_NEAR(second.steps[i].loss, whole.steps[3 + i].loss, 1e-4 * whole.steps[3 + i].loss)
        << "step " << 3 + i;
  // Stopped at the end of an epoch, the run reports that epoch when it goes on: the last is the
  // one.
  const double want = whole.epochs.back().loss;
  EXPECT_NEAR(second.epochs.back().loss, want, 1e-4 * want);
}

TEST_P(PretrainOnDevice, ReportsTheMemoryOfItsDevice) {
  PretrainConfig config = small_run(folder / "run", device());
  config.epochs = 1;
  reset_peak_memory(device());
  Recorder recorder;
  pretrain(config, *train, nullptr, recorder);
  const std::int64_t peak = recorder.epochs.back().peak_memory_bytes;
  EXPECT_GE(peak, memory_stats(device()).peak);
  EXPECT_GT(memory_stats(device()).peak, 1 << 20);
}

TEST_F(PretrainTest, AFinishedRunSaysSoAndEvaluatesAgain) {
  Recorder first;
  PretrainConfig config = small_run(folder / "run");
  const RunResult result = pretrain(config, *train, validation.get(), first);
  Recorder again;
  config.run.resume = result.checkpoint.string();
  const RunResult repeated = pretrain(config, *train, validation.get(), again);
  EXPECT_TRUE(again.steps.empty());
  EXPECT_EQ(measure(repeated.last, "knn_top1"), measure(result.last, "knn_top1"));
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
  EXPECT_LT(measure(recorder.epochs.back(), "loss_ins"),
            0.7 * measure(recorder.epochs[1], "loss_ins"));
  EXPECT_EQ(find_measure(recorder.epochs.back().measures, "knn_top1"), nullptr);
}

TEST_P(PretrainOnDevice, BankMayStartFromFeatures) {
  PretrainConfig config = small_run(folder / "run", device());
  config.bank_start = BankStart::kFeatures;
  config.center_head = true;
  config.run.stop_after = 1;
  Recorder recorder;
  const RunResult result = pretrain(config, *train, nullptr, recorder);
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
  config.run.save_every = 2;
  Recorder recorder;
  const RunResult result = pretrain(config, *train, validation.get(), recorder);
  for (const char* name : {"last", "best", "epoch-0002", "epoch-0003"}) {
    EXPECT_TRUE(std::filesystem::exists(config.run.out / "checkpoints" /
                                        (std::string(name) + ".safetensors")))
        << name;
  }
  EXPECT_FALSE(std::filesystem::exists(config.run.out / "checkpoints" / "epoch-0001.safetensors"));
  EXPECT_GE(result.best.at("knn_top1").value, measure(recorder.epochs.back(), "knn_top1"));
}

TEST_F(PretrainTest, RefusesACheckpointOfAnotherRun) {
  PretrainConfig config = small_run(folder / "run");
  config.run.stop_after = 1;
  Recorder recorder;
  config.run.resume = pretrain(config, *train, validation.get(), recorder).checkpoint.string();
  const auto other = open_synthetic(kSet, SyntheticSplit::kTrain, 49);
  EXPECT_THAT(error_of([&] { pretrain(config, *other, nullptr, recorder); }),
              ::testing::AllOf(HasSubstr("last.safetensors"), HasSubstr("training images")));
}

TEST_F(PretrainTest, PassesOverWhatIsNotWhole) {
  PretrainConfig config = small_run(folder / "run");
  Recorder recorder;
  pretrain(config, *train, validation.get(), recorder);
  const std::filesystem::path checkpoints = config.run.out / "checkpoints";
  // Two names of one file, if the last epoch was the best.
  const std::string last = read_all(checkpoints / "last.safetensors");
  std::filesystem::remove(checkpoints / "last.safetensors");
  folder.write("run/checkpoints/last.safetensors", last.substr(0, 5000));
  EXPECT_EQ(find_checkpoint(config.run.out, recorder)->path, checkpoints / "best.safetensors");
  EXPECT_THAT(recorder.notes, ::testing::Contains(HasSubstr("last.safetensors")));
  std::filesystem::resize_file(checkpoints / "best.safetensors", 5);
  EXPECT_THAT(error_of([&] { find_checkpoint(config.run.out, recorder); }),
              HasSubstr("none of the 2 checkpoints is whole"));
  EXPECT_FALSE(find_checkpoint(folder / "nowhere", recorder).has_value());
}

TEST_P(PretrainOnDevice, StopsAtALossThatIsNotFinite) {
  PretrainConfig config = small_run(folder / "run", device());
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
  EXPECT_THAT(read_all(config.run.out / "skipped-images.tsv"), HasSubstr("000002.jpg"));
  config.run.out = folder / "strict";
  config.max_bad_share = 0.01;
  EXPECT_THAT(error_of([&] { pretrain(config, *images, nullptr, recorder); }),
              HasSubstr("000002.jpg"));
}

}  // namespace
}  // namespace invp::testing
