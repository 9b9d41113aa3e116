// Layer-wise linear classification: pooled sizes, rates, first weights, and runs that are cached,
// stopped and resumed.
#include "invp/protocols/linear/linear.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>

#include "engine/files/safetensors.h"
#include "invp/protocols/linear/cached_features.h"
#include "invp/protocols/linear/linear_protocol.h"
#include "invp/report/svg/layers.h"
#include "layers/exchange.h"
#include "optim/schedule.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using testing::error_of;
using testing::golden;
using ::testing::HasSubstr;
using testing::TempFolder;

// --- sizes, rates, first weights

TEST(TapLayers, AreTheSupplementsOfResNet50) {
  ResNet network({.arch = Arch::kResNet50});
  network.train(false);
  const auto dims = [&](TapPooling pooling) {
    std::vector<std::int64_t> all;
    for (const TapLayer& layer : tap_layers(network, 224, {}, pooling)) all.push_back(layer.dims());
    return all;
  };
  using ::testing::ElementsAre;
  EXPECT_THAT(dims(TapPooling::kGlobal),
              ElementsAre(64, 256, 256, 256, 512, 512, 512, 512, 1024, 1024, 1024, 1024, 1024, 1024,
                          2048, 2048, 2048));
  EXPECT_THAT(dims(TapPooling::kAbout9000),
              ElementsAre(9216, 9216, 9216, 9216, 8192, 8192, 8192, 8192, 9216, 9216, 9216, 9216,
                          9216, 9216, 8192, 8192, 8192));
  EXPECT_THAT(dims(TapPooling::kReleased),
              ElementsAre(9216, 9216, 9216, 9216, 8192, 8192, 8192, 8192, 9216, 9216, 9216, 9216,
                          9216, 9216, 2048, 2048, 2048));
  const std::vector<TapLayer> some = tap_layers(network, 224, {16, 1, 5}, TapPooling::kStages);
  ASSERT_EQ(some.size(), 3U);
  EXPECT_EQ(some[0].block, "stem");
  EXPECT_EQ(some[0].grid, 8);
  EXPECT_EQ(some[1].block, "layer2.0");
  EXPECT_EQ(some[1].grid, 4);
  EXPECT_EQ(some[1].map, 28);
  EXPECT_EQ(some[2].block, "layer4.1");
  EXPECT_EQ(some[2].grid, 7);
  EXPECT_THAT(error_of([&] { tap_layers(network, 224, {18}, TapPooling::kGlobal); }),
              HasSubstr("1, the stem, to 17"));
}

TEST(TapLayers, NoGridIsFinerThanItsMap) {
  ResNet network({.arch = Arch::kResNet18Cifar, .width = 8});
  network.train(false);
  const std::vector<TapLayer> layers = tap_layers(network, 32, {}, TapPooling::kAbout9000);
  ASSERT_EQ(layers.size(), 9U);
  EXPECT_EQ(layers[0].grid, 32);  // 8 channels would want 34
  EXPECT_EQ(layers[1].block, "layer1.0");
  EXPECT_EQ(layers[8].block, "layer4.1");
  EXPECT_EQ(layers[8].grid, 4);
}

TEST(LinearProtocol, RatesArePyTorchsOfTheSupplementsMilestones) {
  std::ifstream file(golden("linear_rates.tsv"));
  int protocols = 0;
  for (std::string line; std::getline(file, line); ++protocols) {
    std::istringstream fields(line);
    std::string name;
    fields >> name;
    LinearConfig config;
    for (const auto& [word, protocol] : all_linear_protocols()) {
      if (word == name) config = linear_defaults(protocol, "cifar10").config;
    }
    const StepSchedule steps{.milestones = config.milestones, .decay = config.lr_decay};
    int epoch = 0;
    for (double rate = 0; fields >> rate;)
      EXPECT_NEAR(config.learning_rate * steps({.epoch = ++epoch}), rate, 1e-9)
          << name << ' ' << epoch;
    EXPECT_EQ(epoch, config.epochs) << name;
  }
  EXPECT_EQ(protocols, 4);
}

double deviation(const Tensor& tensor) {
  double squares = 0;
  for (const float value : tensor.span<float>()) squares += double{value} * double{value};
  return std::sqrt(squares / static_cast<double>(tensor.numel()));
}

TEST(LinearHeads, BeginAsTheirInitialisationSays) {
  const std::vector<TapLayer> layers = {
      {.tap = 3, .block = "layer1.1", .channels = 64, .map = 8, .grid = 4}};
  const auto first = [&](HeadInit init) {
    return LinearHeads(layers, {.outputs = 50, .init = init, .norm = true}).to_file();
  };
  const TensorFile small = first(HeadInit::kSmall);
  EXPECT_NEAR(deviation(*small.find("tap3.weight")), 0.01, 2e-4);
  EXPECT_EQ(deviation(*small.find("tap3.bias")), 0);
  EXPECT_EQ(small.find("tap3.norm.weight")->span<float>()[7], 1);
  EXPECT_EQ(deviation(*small.find("tap3.norm.bias")), 0);
  EXPECT_NEAR(deviation(*first(HeadInit::kFanOut).find("tap3.weight")), 0.2, 4e-3);
  const TensorFile torch = first(HeadInit::kTorch);
  EXPECT_NEAR(deviation(*torch.find("tap3.weight")), 1.0 / 32 / std::sqrt(3.0), 4e-4);
  EXPECT_NEAR(deviation(*torch.find("tap3.bias")), 1.0 / 32 / std::sqrt(3.0), 4e-3);
  EXPECT_NE(deviation(*torch.find("tap3.bias")), 0);
}

TEST(LinearHeads, ComeBackFromAFileInPyTorchsOrder) {
  const std::vector<TapLayer> layers = {
      {.tap = 2, .block = "layer1.0", .channels = 3, .map = 2, .grid = 2}};
  LinearHeads heads(layers, {.outputs = 2});
  Tensor weight = Tensor::zeros({2, 12});
  weight.span<float>()[12 + 4 * 1 + 2] = 1;  // output 1 reads channel 1 of the lower left cell
  heads.from_file({.tensors = {{"tap2.weight", weight}, {"tap2.bias", Tensor::zeros({2})}}},
                  "test");
  Tensor map = Tensor::zeros({1, 2, 2, 3});
  map.span<float>()[3 * 2 + 1] = 5;
  EXPECT_EQ(heads.head(0).forward(pool_tap(map, 2)).span<float>()[1], 5);
  EXPECT_EQ(heads.to_file().find("tap2.weight")->span<float>()[18], 1);
  EXPECT_THAT(error_of([&] {
                heads.from_file({.tensors = {{"tap3.weight", weight}}}, "FILE");
              }),
              HasSubstr("FILE"));
}

// --- whole runs

/// A class is a color; pictures of 12 x 12 vary a little.
std::unique_ptr<Dataset> colored_set(std::int64_t count, int shift) {
  std::vector<std::uint8_t> pixels;
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < count; ++i) {
    labels.push_back(static_cast<std::int32_t>(i % 3));
    for (std::int64_t p = 0; p < 12 * 12 * 3; ++p)
      pixels.push_back(
          static_cast<std::uint8_t>((p % 3 == i % 3 ? 170 : 60) + (p * 7 + i * 11 + shift) % 60));
  }
  return std::make_unique<PixelDataset>("colored", 12, 12, std::move(pixels),
                                        std::vector<PixelDataset::Source>{{"colored", count}},
                                        std::move(labels), numbered_classes(3));
}

class LinearRun : public ::testing::Test {
 protected:
  LinearRun() {
    config_.augment = {.image_size = 12, .flip_prob = 0.5};
    config_.evaluation = {.image_size = 12};
    config_.epochs = 3;
    config_.batch_size = 8;
    config_.learning_rate = 0.5;
    config_.milestones = {2};
  }
  LinearResult run(const std::string& folder, LinearConfig config) {
    config.run.out = folder_ / folder;
    ResNet network({.arch = Arch::kResNet18Cifar, .width = 4, .dim = 8, .seed = seed_});
    RunObserver nobody;
    return run_linear(network, config, *train_, *validation_, nobody);
  }

  TempFolder folder_;
  std::unique_ptr<Dataset> train_ = colored_set(30, 0);
  std::unique_ptr<Dataset> validation_ = colored_set(12, 5);
  LinearConfig config_;
  std::uint64_t seed_ = 5;
};

TEST_F(LinearRun, LearnsToTellColorsApart) {
  const LinearResult result = run("a", config_);
  ASSERT_EQ(result.taps.size(), 9U);
  EXPECT_TRUE(result.run.finished);
  EXPECT_EQ(result.headline(result.taps[result.best]), 100);
  EXPECT_EQ(result.taps[0].score.top5, 100);
  const std::string csv = layers_csv(result);
  EXPECT_THAT(csv, ::testing::StartsWith("tap,block,dims,top1,top5\n1,stem,4,"));
  EXPECT_EQ(std::ranges::count(csv, '\n'), 10);
  EXPECT_THAT(layers_svg("Colors", result), HasSubstr("best at block"));
}

TEST_F(LinearRun, GoesOnToTheSameBytesAfterAStop) {
  run("whole", config_);
  LinearConfig part = config_;
  part.run.stop_after = 6;
  EXPECT_FALSE(run("parts", part).run.finished);
  part.run.stop_after = 0;
  part.run.resume = folder_ / "parts/checkpoints/last.safetensors";
  EXPECT_TRUE(run("parts", part).run.finished);
  const TensorFile whole = read_safetensors(folder_ / "whole/checkpoints/last.safetensors");
  const TensorFile parts = read_safetensors(folder_ / "parts/checkpoints/last.safetensors");
  ASSERT_EQ(whole.tensors.size(), parts.tensors.size());
  ASSERT_GE(whole.tensors.size(), 36U);
  for (const auto& [name, tensor] : whole.tensors) {
    const Tensor* const other = parts.find(name);
    ASSERT_NE(other, nullptr) << name;
    EXPECT_EQ(std::memcmp(tensor.raw(), other->raw(), tensor.nbytes()), 0) << name;
  }
  // The classifiers of one network are not those of another.
  seed_ = 6;
  EXPECT_THAT(error_of([&] { run("parts", part); }), HasSubstr("network"));
}

TEST_F(LinearRun, CachedFeaturesTrainTheSameClassifiers) {
  run("shown", config_);
  LinearConfig cached = config_;
  cached.cache_features = true;
  run("cached", cached);
  const TensorFile shown = read_safetensors(folder_ / "shown/checkpoints/last.safetensors");
  const TensorFile kept = read_safetensors(folder_ / "cached/checkpoints/last.safetensors");
  for (const char* name : {"heads.tap1.weight", "heads.tap6.weight", "heads.tap9.bias"}) {
    const Tensor* const a = shown.find(name);
    const Tensor* const b = kept.find(name);
    ASSERT_TRUE(a != nullptr && b != nullptr) << name;
    for (std::size_t i = 0; i < a->span<float>().size(); ++i)
      EXPECT_NEAR(a->span<float>()[i], b->span<float>()[i], 1e-4) << name;
  }
}

TEST_F(LinearRun, ARandomCropIsNotCached) {
  LinearConfig config = config_;
  config.augment.framing = Framing::kRandomResizedCrop;
  EXPECT_FALSE(can_cache(config.augment));
  EXPECT_TRUE(can_cache(config_.augment));
  config.cache_features = true;
  config.epochs = 1;
  EXPECT_TRUE(run("crops", config).run.finished);  // with the validation set's alone
}

TEST_F(LinearRun, TenCropsSeeEveryPicture) {
  LinearConfig config = config_;
  config.evaluation.resize_shorter = 16;
  config.views = TestViews::kTenCrops;
  const LinearResult result = run("ten", config);
  EXPECT_EQ(result.headline(result.taps[result.best]), 100);
}

TEST_F(LinearRun, TrainsTheNetworkTooWhereAsked) {
  LinearConfig config = config_;
  config.train_network = true;
  config.taps = {9};
  config.learning_rate = 0.01;
  run("both", config);
  const TensorFile file = read_safetensors(folder_ / "both/checkpoints/last.safetensors");
  const ResNet fresh({.arch = Arch::kResNet18Cifar, .width = 4, .dim = 8, .seed = 5});
  const TensorFile before = pytorch_state(fresh);
  const auto moved = [&](const std::string& name) {
    const Tensor* const now = file.find("model." + name);
    return std::memcmp(now->raw(), before.find(name)->raw(), now->nbytes()) != 0;
  };
  EXPECT_TRUE(moved("conv1.weight"));
  EXPECT_TRUE(moved("layer4.1.bn2.weight"));
  EXPECT_FALSE(moved("layer4.1.bn2.running_mean"));
  EXPECT_FALSE(moved("fc.weight"));
  config.taps = {};
  EXPECT_THAT(error_of([&] { run("other", config); }), HasSubstr("last tap"));
}

}  // namespace
}  // namespace invp
