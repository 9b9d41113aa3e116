// Fine-tuning against PyTorch and scikit-learn (golden/finetune.py), its run stopped and resumed,
// and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "data/sets/synthetic_dataset.h"
#include "engine/core/error.h"
#include "engine/core/numerics.h"
#include "engine/core/parallel.h"
#include "engine/devices/cuda_info.h"
#include "engine/files/safetensors.h"
#include "invp/protocols/finetune/finetune_task.h"
#include "invp/protocols/scores/accuracy.h"
#include "invp/run/run_folder.h"
#include "layers/exchange.h"
#include "layers/find_network.h"
#include "tests/support/devices.h"
#include "tests/support/formula.h"
#include "tests/support/recorder.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr NetworkConfig kNarrow{.arch = Arch::kResNet18, .width = 4};
constexpr float kGain = 16;  // of the convolutions' weights
constexpr SyntheticOptions kSet{.classes = 7, .size = 16};

/// As golden/finetune.py makes them.
Batch golden_batch(std::uint64_t stream, int step) {
  constexpr std::int64_t kImages = 16, kSide = 64;
  Batch batch;
  batch.images =
      Tensor::from(uniform(stream + static_cast<std::uint64_t>(step), kImages * kSide * kSide * 3),
                   {kImages, kSide, kSide, 3});
  for (int i = 0; i < kImages; ++i) {
    batch.indices.push_back(i);
    batch.labels.push_back((7 * i + 3 * step + i * step) % 7);
  }
  return batch;
}

/// Tensors of their own, which training does not change.
/// Of the one network among a file's tensors.
NetworkConfig config_of(const TensorFile& weights) {
  return find_networks(stored_tensors(weights.tensors)).at(0).config;
}

TensorFile copy_of_state(const ResNet& network) {
  TensorFile state = pytorch_state(network);
  for (auto& [name, tensor] : state.tensors) tensor = tensor.clone();
  return state;
}

struct GoldenRun {
  std::string name;
  std::uint64_t stream;  ///< of the images
  FinetuneConfig config;
  int steps_an_epoch;
};

std::ostream& operator<<(std::ostream& out, const GoldenRun& run) {
  return out << run.name;
}

class AgainstPyTorch : public ::testing::TestWithParam<GoldenRun> {
 protected:
  void SetUp() override { set_num_threads(1); }  // such small networks gain nothing from more
};

TEST_P(AgainstPyTorch, LossesAndAllWeightsAgree) {
  const GoldenRun& run = GetParam();
  for (const Device device : available_devices()) {
    // An emulated GPU is slow: the run that has everything in it will do.
    if (device != kCpu && cuda_info().emulated && run.name != "schedule") continue;
    SCOPED_TRACE(device == kCpu ? "cpu" : "gpu");
    const auto network = make_classifier(kNarrow, 7, nullptr, "test");
    fill(*network, kGain);
    const TensorFile before = copy_of_state(*network);
    network->to(device);
    const auto validation = open_synthetic(kSet, SyntheticSplit::kVal, 2);
    FinetuneTask task(run.config, *network, *validation);
    const TensorFile golden_run =
        read_safetensors(golden(message("finetune_", run.name, ".safetensors")));
    const Tensor& losses = *golden_run.find("losses");
    for (int step = 0; step < losses.numel(); ++step) {
      const float want = losses.data<float>()[step];
      task.step(golden_batch(run.stream, step), {.epoch = 1 + step / run.steps_an_epoch});
      EXPECT_NEAR(task.finish().at(0).losses.at(0), want, 1e-3 * want) << "step " << step;
    }
    int compared = 0;
    for (const auto& [name, tensor] : pytorch_state(*network).tensors) {
      const Tensor* const change = golden_run.find("change." + name);
      if (change == nullptr) continue;
      const Tensor after = tensor.to(kCpu);
      double largest = 0, apart = 0, moved = 0;
      for (std::int64_t i = 0; i < after.numel(); ++i) {
        const double want = before.find(name)->data<float>()[i] + change->data<float>()[i];
        const double error = after.data<float>()[i] - want;
        largest = std::max(largest, std::abs(error) / std::max(1.0, std::abs(want)));
        apart += error * error;
        moved += std::pow(change->data<float>()[i], 2);
      }
      EXPECT_LT(largest, 2e-3) << name;  // twice what compilers' roundings have grown to, 1.04e-3
      EXPECT_LT(std::sqrt(apart / moved), 0.1) << name;  // where little has changed
      ++compared;
    }
    EXPECT_EQ(compared, std::ssize(golden_run.tensors) - 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Protocols, AgainstPyTorch,
                         ::testing::Values(GoldenRun{.name = "semi",
                                                     .stream = 11000,
                                                     .config = {.learning_rate = 0.0012,
                                                                .fc_learning_rate = 0.06,
                                                                .milestones = {15, 20, 25},
                                                                .weight_decay = 1e-5},
                                                     .steps_an_epoch = 20},
                                           GoldenRun{.name = "transfer",
                                                     .stream = 7000,
                                                     .config = {.milestones = {120, 160}},
                                                     .steps_an_epoch = 20},
                                           GoldenRun{.name = "schedule",
                                                     .stream = 1000,
                                                     .config = {.learning_rate = 0.02,
                                                                .fc_learning_rate = 0.005,
                                                                .fc_first_rate = 0.05,
                                                                .fc_constant = true,
                                                                .milestones = {1, 3},
                                                                .weight_decay = 0.2,
                                                                .bn_groups = 3},
                                                     .steps_an_epoch = 3}),
                         [](const auto& run) { return run.param.name; });

TEST(FinetuneRates, FallAtTheirMilestonesGroupByGroup) {
  const auto at = [](const FinetuneConfig& config, int epoch) {
    const auto rates = finetune_rates(config);
    const Progress progress{.epoch = epoch + 1};  // the paper counts from 0
    return std::pair(rates[0](progress), rates[1](progress));
  };
  const FinetuneConfig semi{
      .learning_rate = 0.0012, .fc_learning_rate = 0.06, .milestones = {15, 20, 25}};
  EXPECT_EQ(at(semi, 14), std::pair(0.0012, 0.06));
  EXPECT_DOUBLE_EQ(at(semi, 15).first, 0.00012);
  EXPECT_DOUBLE_EQ(at(semi, 15).second, 0.006);
  EXPECT_DOUBLE_EQ(at(semi, 29).first, 1.2e-6);
  EXPECT_DOUBLE_EQ(at(semi, 29).second, 6e-5);
  FinetuneConfig code = semi;
  code.fc_constant = true;
  code.fc_first_rate = 0.5;
  EXPECT_EQ(at(code, 0), std::pair(0.0012, 0.5));
  EXPECT_EQ(at(code, 1), std::pair(0.0012, 0.06));
  EXPECT_EQ(at(code, 29).second, 0.06);
}

TEST(AccuracyTest, AgreesWithScikitLearn) {
  constexpr std::int64_t kCount = 200, kClasses = 9;
  std::vector<float> logits = uniform(5000, kCount * kClasses);
  constexpr std::int64_t kTruth[] = {0, 1, 2, 3, 4, 5, 7, 8, 0, 1, 1};  // never 6
  std::vector<std::int64_t> truth;
  for (std::int64_t i = 0; i < kCount; ++i) {
    truth.push_back(kTruth[(3 * i + i / 7) % 11]);
    logits[static_cast<std::size_t>(i * kClasses + truth.back())] += 0.5F;
  }
  Accuracy accuracy(kClasses);
  for (std::int64_t i = 0; i < kCount; i += 64) {  // in batches
    const std::int64_t end = std::min(i + 64, kCount);
    accuracy.add(
        Tensor::from(logits, {kCount, kClasses}).slice(i, end),
        std::span(truth).subspan(static_cast<std::size_t>(i), static_cast<std::size_t>(end - i)));
  }
  const TensorFile file = read_safetensors(golden("accuracy.safetensors"));
  const float* const want = file.find("figures")->data<float>();
  EXPECT_EQ(accuracy.images(), kCount);
  EXPECT_NEAR(accuracy.top1(), want[0], 1e-4);
  EXPECT_NEAR(accuracy.top5(), want[1], 1e-4);
  EXPECT_NEAR(accuracy.mean_per_class(), want[2], 1e-4);
}

TEST(AccuracyTest, EqualLogitsAndNaNWinNothing) {
  Accuracy accuracy(3);
  accuracy.add(Tensor::from(std::vector<float>{1, 1, 1, 1, 1, 1, NAN, NAN, NAN}, {3, 3}),
               std::vector<std::int64_t>{0, 2, 1});
  EXPECT_NEAR(accuracy.top1(), 100.0 / 3, 1e-9);
  EXPECT_NEAR(accuracy.mean_per_class(), 100.0 / 3, 1e-9);
  EXPECT_THAT(error_of([&] {
                accuracy.add(Tensor::zeros({1, 3}), std::vector<std::int64_t>{3});
              }),
              HasSubstr("label 3 of 3 classes"));
}

// ------------------------------------------------------------------------------------ the run

class FinetuneRun : public ::testing::Test {
 protected:
  FinetuneRun() {
    set_numerics({.deterministic = true});
    set_num_threads(1);
    config.augment = augment_preset("linear-cifar");
    config.augment.image_size = 16;
    config.evaluation = augment_preset("eval-cifar");
    config.evaluation.image_size = 16;
    config.batch_size = 10;
    config.learning_rate = 0.05;
    config.fc_learning_rate = 0.05;
    config.epochs = 3;
    config.protocol = FinetuneProtocol::kSemi;
  }

  RunResult train(Recorder& recorder, Device device = kCpu, int workers = 1) {
    const auto network =
        make_classifier({.arch = Arch::kResNet18Cifar, .width = 4}, 7, nullptr, "test");
    network->to(device);
    config.device = device;
    config.workers = workers;
    return run_finetune(*network, config, *set, *validation, recorder);
  }

  const std::unique_ptr<Dataset> set = open_synthetic(kSet, SyntheticSplit::kTrain, 35);
  const std::unique_ptr<Dataset> validation = open_synthetic(kSet, SyntheticSplit::kVal, 14);
  FinetuneConfig config;
  RunConfig& how = config.run;
  TempFolder folder;
};

TEST_F(FinetuneRun, ResumedAnywhereItEndsInTheSameBits) {
  for (const Device device : available_devices()) {
    const std::string where = device == kCpu ? "" : "gpu";
    Recorder whole;
    how.out = folder / ("whole" + where);
    how.resume.clear();
    const RunResult want = train(whole, device);
    EXPECT_TRUE(want.finished);
    EXPECT_EQ(want.epoch, 3);
    ASSERT_EQ(whole.steps.size(), 12u);  // three epochs of 10, 10, 10 and 5 images
    EXPECT_EQ(whole.steps.back().images, 5);
    ASSERT_NE(find_measure(want.last.measures, "mean_per_class"), nullptr);
    const std::string bytes = read_all(want.checkpoint);
    for (const std::int64_t stop : {1, 4, 5, 11}) {
      if (device != kCpu && stop != 5) continue;  // an emulated GPU is slow
      SCOPED_TRACE(stop);
      how.out = folder / message("part", stop, where);
      how.resume.clear();
      Recorder first, second;
      first.stop_at = stop;
      EXPECT_FALSE(train(first, device, static_cast<int>(stop % 3)).finished);
      how.resume = "auto";
      const RunResult result = train(second, device);
      EXPECT_EQ(first.steps.size() + second.steps.size(), 12u);
      EXPECT_EQ(second.epochs.back().loss, whole.epochs.back().loss);
      EXPECT_EQ(result.best.at("top1").value, want.best.at("top1").value);
      EXPECT_EQ(read_all(result.checkpoint), bytes);
    }
  }
}

TEST_F(FinetuneRun, EvaluatesWhenAskedAndKeepsTheBest) {
  how.out = folder / "run";
  config.evaluate_every = 2;
  how.save_every = 2;
  Recorder recorder;
  const RunResult result = train(recorder);
  EXPECT_TRUE(recorder.epochs[0].measures.empty());
  EXPECT_EQ(recorder.epochs[1].measures.size(), 3u);
  EXPECT_EQ(recorder.epochs[2].measures.size(), 3u);  // the last always is
  EXPECT_THAT(result.best.at("top1").epoch, ::testing::AnyOf(2, 3));
  for (const char* name : {"last", "best", "epoch-0002", "epoch-0003"})
    EXPECT_TRUE(
        std::filesystem::exists(how.out / "checkpoints" / (std::string(name) + ".safetensors")));

  how.resume = result.checkpoint.string();
  Recorder again;
  const RunResult repeated = train(again);
  EXPECT_THAT(again.notes, ::testing::Contains(HasSubstr("nothing left to train")));
  EXPECT_EQ(*find_measure(repeated.last.measures, "top1"),
            *find_measure(result.last.measures, "top1"));
  EXPECT_EQ(repeated.last.loss, result.last.loss);
}

TEST_F(FinetuneRun, OtherCommandsFindTheNetworkInItsCheckpoint) {
  how.out = folder / "run";
  how.stop_after = 1;
  Recorder recorder;
  const RunResult result = train(recorder);
  const TensorFile weights = load_network_weights(result.checkpoint);
  const NetworkConfig found = config_of(weights);
  EXPECT_EQ(found.arch, Arch::kResNet18Cifar);
  EXPECT_EQ(found.dim, 7);
}

TEST_F(FinetuneRun, RefusesOtherFiles) {
  how.out = folder / "run";
  how.resume = golden("accuracy.safetensors");
  Recorder recorder;
  EXPECT_THAT(error_of([&] { train(recorder); }), HasSubstr("not a checkpoint of invp"));
}

TEST_F(FinetuneRun, StopsAtALossThatIsNotFinite) {
  how.out = folder / "run";
  config.learning_rate = 1e30;
  Recorder recorder;
  EXPECT_THAT(error_of([&] { train(recorder); }),
              AllOf(HasSubstr("not finite"), HasSubstr("epoch 1, step")));
}

TEST_F(FinetuneRun, TheNewLayerAloneLeavesTheBackbone) {
  config.fc_only = true;
  const auto network = make_classifier(kNarrow, 7, nullptr, "test");
  FinetuneTask task(config, *network, *validation);
  const TensorFile before = copy_of_state(*network);
  task.step(golden_batch(1000, 0), {});
  for (const auto& [name, tensor] : pytorch_state(*network).tensors) {
    const bool moved = std::memcmp(tensor.raw(), before.find(name)->raw(),
                                   static_cast<std::size_t>(tensor.numel()) * 4) != 0;
    // Batch norms stay in training mode.
    EXPECT_EQ(moved, name.starts_with("fc.") || name.find("running") != std::string::npos ||
                         name.ends_with("num_batches_tracked"))
        << name;
  }
}

TEST(Classifier, TakesTheBackboneAndANewLayerOfPyTorchsKind) {
  ResNet pretrained({.arch = Arch::kResNet18, .width = 4, .head = HeadKind::kMlp, .dim = 16});
  fill(pretrained);
  const TensorFile weights = pytorch_state(pretrained);
  const auto network = make_classifier(config_of(weights), 300, &weights, "test");
  const TensorFile state = pytorch_state(*network);
  EXPECT_EQ(state.find("layer4.1.conv2.weight")->span<float>()[5],
            weights.find("layer4.1.conv2.weight")->span<float>()[5]);
  const Tensor& fc = *state.find("fc.weight");
  ASSERT_EQ(fc.shape(), Shape({300, 32}));
  const double bound = 1 / std::sqrt(32.0);
  double sum = 0, squares = 0;
  for (const float value : fc.span<float>()) {
    EXPECT_LE(std::abs(value), bound);
    sum += value, squares += value * value;
  }
  const auto count = static_cast<double>(fc.numel());
  EXPECT_NEAR(sum / count, 0, 4 * bound / std::sqrt(3 * count));
  EXPECT_NEAR(squares / count, bound * bound / 3, 0.05 * bound * bound / 3);
}

TEST(ShownMeasures, TheSetsOwnComesFirst) {
  const auto first = [](const char* kind) {
    return shown_measures(FinetuneProtocol::kTransfer, kind).front().name;
  };
  for (const char* kind : {"pets", "caltech101", "flowers102"})
    EXPECT_EQ(first(kind), "mean_per_class");
  for (const char* kind : {"cifar10", "cifar100", "cars", "cub200", "svhn"})
    EXPECT_EQ(first(kind), "top1");
}

}  // namespace
}  // namespace invp::testing
