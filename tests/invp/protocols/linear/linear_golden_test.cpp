// Layer-wise linear classification against PyTorch (golden/linear.py): the first steps of all 17
// taps, and what is counted of their logits.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "engine/files/safetensors.h"
#include "invp/protocols/linear/linear_task.h"
#include "layers/exchange.h"
#include "optim/schedule.h"
#include "tests/support/formula.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using testing::fill;
using testing::golden;
using testing::uniform;

// --- against PyTorch

constexpr int kSize = 64;
constexpr std::int64_t kImages = 48;
constexpr std::int64_t kBatch = 12;
constexpr std::int64_t kClasses = 20;

Presence golden_presence(std::int64_t image, std::int64_t c) {
  constexpr std::array kFlags = {0, 0, 1, 0, 2, 1, 0};
  return static_cast<Presence>(
      kFlags.at(static_cast<std::size_t>((image * 3 + c * 5 + image * c) % 7)));
}

/// The labels of golden/linear.py; the images come by another way.
class GoldenSet final : public Dataset {
 public:
  explicit GoldenSet(bool multi_label) : Dataset("golden", labels(), numbered_classes(kClasses)) {
    for (std::int64_t i = 0; multi_label && i < kImages * kClasses; ++i)
      presences_.push_back(golden_presence(i / kClasses, i % kClasses));
  }
  std::string name(std::int64_t) const override { return "golden"; }
  void fetch(std::int64_t, Sample&) const override { fail("not a picture"); }
  std::span<const Presence> presences(std::int64_t index) const override {
    if (presences_.empty()) return {};
    return std::span(presences_).subspan(static_cast<std::size_t>(index * kClasses), kClasses);
  }

 private:
  static std::vector<std::int32_t> labels() {
    std::vector<std::int32_t> labels;
    for (std::int64_t i = 0; i < kImages; ++i)
      labels.push_back(static_cast<std::int32_t>(i * 7 % kClasses));
    return labels;
  }
  std::vector<Presence> presences_;
};

struct Form {
  const char* name;
  bool norm;
  double lr;
  double weight_decay;
};

std::ostream& operator<<(std::ostream& out, const Form& form) {
  return out << form.name;
}

class LinearGolden : public ::testing::TestWithParam<Form> {};

INSTANTIATE_TEST_SUITE_P(Forms, LinearGolden,
                         ::testing::Values(Form{"plain", false, 4e-3, 0},
                                           Form{"norm", true, 1e-3, 0},
                                           Form{"voc", false, 2e-3, 1e-3}),
                         [](const auto& form) { return std::string(form.param.name); });

TEST_P(LinearGolden, FiftyStepsOfAllTapsArePyTorchs) {
  const Form form = GetParam();
  const GoldenSet set(std::string(form.name) == "voc");
  ResNet network({.arch = Arch::kResNet50, .width = 8, .dim = 16});
  fill(network);
  network.train(false);
  std::vector<TapLayer> layers = tap_layers(network, kSize, {}, TapPooling::kGlobal);
  ASSERT_EQ(layers.size(), 17U);
  for (TapLayer& layer : layers) layer.grid = layer.tap == 1 ? 5 : layer.tap < 15 ? 3 : 1;
  LinearHeads heads(layers, {.outputs = kClasses, .norm = form.norm});
  TensorFile first = heads.to_file();
  for (auto& [name, tensor] : first.tensors) {
    if (!name.ends_with(".weight") || name.ends_with("norm.weight")) continue;
    const auto tap = static_cast<std::uint64_t>(std::stoi(name.substr(3)));
    tensor = Tensor::from(uniform(2000 + tap, tensor.numel(), 1.0F / 64), tensor.shape());
  }
  heads.from_file(first, "test");
  const LinearConfig config{
      .learning_rate = form.lr, .milestones = {2, 4}, .weight_decay = form.weight_decay};
  LinearTask task(network, heads, config, set, set);

  const std::int64_t pixels = std::int64_t{kSize} * kSize * 3;
  const std::vector<float> images = uniform(1000, kImages * pixels);
  const TensorFile file = read_safetensors(golden("linear_losses.safetensors"));
  const Tensor* const wanted = file.find(form.name);
  ASSERT_NE(wanted, nullptr);
  const std::int64_t steps = wanted->dim(0);
  ASSERT_EQ(steps, 50);
  for (std::int64_t step = 0; step < steps; ++step) {
    Batch batch;
    batch.images = Tensor::empty({kBatch, kSize, kSize, 3});
    for (std::int64_t i = 0; i < kBatch; ++i) {
      const std::int64_t image = (step * kBatch + i) * 5 % kImages;
      batch.indices.push_back(image);
      batch.labels.push_back(set.label(image));
      std::copy_n(images.begin() + image * pixels, pixels, batch.images.data<float>() + i * pixels);
    }
    task.step(batch, {.epoch = 1 + static_cast<int>(step / (steps / 5))});
    const std::vector<double> losses = task.finish().at(0).losses;
    ASSERT_EQ(losses.size(), 18u);
    double sum = 0;
    for (std::int64_t tap = 0; tap < 17; ++tap) {
      const double want = wanted->data<float>()[step * 17 + tap];
      EXPECT_NEAR(losses[static_cast<std::size_t>(1 + tap)] / want, 1, 1e-3)
          << "step " << step << " tap " << tap + 1;
      sum += want;
    }
    EXPECT_NEAR(losses[0] / (sum / 17), 1, 1e-3);
  }
}

// --- judging

TEST(TapJudge, AveragesTheSoftmaxOfTenCrops) {
  class TwoPictures final : public Dataset {
   public:
    TwoPictures() : Dataset("two", {0, 1}, numbered_classes(3)) {}
    std::string name(std::int64_t) const override { return "two"; }
    void fetch(std::int64_t, Sample&) const override { fail("not a picture"); }
  };
  const TwoPictures set;
  TapJudge judge(set, TestViews::kTenCrops);
  // The first picture: two crops are sure of class 0, eight lean to class 1. Logits summed up would
  // say 0. The second picture likewise, and its label is 1.
  std::vector<float> logits;
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 0; i < 20; ++i) {
    const bool sure = i % 10 < 2;
    logits.insert(logits.end(), {sure ? 100.0F : 0.0F, sure ? 0.0F : 2.0F, 0.0F});
    indices.push_back(i);
  }
  judge.add(Tensor::from(logits, {20, 3}), indices);
  EXPECT_EQ(judge.score().top1, 50);
  EXPECT_EQ(judge.score().top5, 100);
  EXPECT_THROW(TapJudge(set, TestViews::kTenRandom), Error);
}

TEST(TapJudge, LeavesOutPicturesItWasNotShown) {
  const GoldenSet set(true);
  TapJudge judge(set, TestViews::kOne);
  std::vector<float> logits;
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 0; i < kImages; i += 2) {
    indices.push_back(i);
    for (std::int64_t c = 0; c < kClasses; ++c)
      logits.push_back(golden_presence(i, c) == Presence::kPresent ? 1.0F : 0.0F);
  }
  judge.add(Tensor::from(logits, {std::ssize(indices), kClasses}), indices);
  // Three of the twenty classes have no picture at all, and do not count.
  EXPECT_NEAR(judge.score().map, 100, 1e-9);
  EXPECT_NEAR(judge.score().map_eleven_point, 100, 1e-9);
  EXPECT_EQ(judge.score().classes.size(), 20U);
}

}  // namespace
}  // namespace invp
