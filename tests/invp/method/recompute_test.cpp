// Training with --recompute: steps end in the same weights, and a run may change its mind.
#include <gtest/gtest.h>

#include <numeric>

#include "engine/core/numerics.h"
#include "invp/method/trainer.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"

namespace invp::testing {
namespace {

constexpr std::int64_t kImages = 16;
constexpr std::int64_t kBatch = 8;
constexpr int kSize = 16;

class TrainerRecomputeTest : public OpTest {
 protected:
  void SetUp() override {
    OpTest::SetUp();
    set_numerics({.deterministic = true});
  }

  static TrainerConfig config(Recompute recompute) {
    TrainerConfig config{
        .network = {.arch = Arch::kResNet50Cifar, .width = 4, .dim = 8, .recompute = recompute},
        .compute_type = dtype(),
        .seed = 5,
        .device = device()};
    config.objective.background = 8;
    config.objective.hard_positives = 4;
    config.objective.warm_epochs = 1;
    return config;
  }

  static double step(Trainer& trainer, std::int64_t number) {
    const Shape shape{kBatch, kSize, kSize, 3};
    const auto seed = static_cast<std::uint64_t>(100 + number);
    std::vector<std::int64_t> indices(kBatch);
    std::iota(indices.begin(), indices.end(), number * kBatch % kImages);
    return trainer
        .step({.images = tensor(random_values(seed, shape.numel()), shape), .indices = indices},
              1 + static_cast<int>(number * kBatch / kImages), 1.0)
        .losses[0];
  }

  static void hand_over(Trainer& from, Trainer& to) {
    load_state(to.network(), from.network().state(), "test");
    to.optimizer().load_state(from.optimizer().state(), "test");
    to.bank().rows().copy_from(from.bank().rows());
    to.graph().rows().copy_from(from.graph().rows());
  }

  static void expect_same_state(Trainer& a, Trainer& b) {
    const std::vector<NamedTensor> left = a.network().state();
    const std::vector<NamedTensor> right = b.network().state();
    for (std::size_t i = 0; i < left.size(); ++i) {
      SCOPED_TRACE(left[i].name);
      expect_identical(left[i].tensor, right[i].tensor);
    }
    const auto momenta = a.optimizer().state();
    for (std::size_t i = 0; i < momenta.size(); ++i) {
      SCOPED_TRACE(momenta[i].name);
      expect_identical(momenta[i].tensor, b.optimizer().state()[i].tensor);
    }
    expect_identical(a.bank().rows(), b.bank().rows());
  }
};
RUN_ON_ALL_DEVICES(TrainerRecomputeTest);

TEST_P(TrainerRecomputeTest, AnyWayEndsInTheSameWeights) {
  constexpr std::int64_t kSteps = 3;  // the last one with positives
  Trainer plain(config(Recompute::kNone), kImages);
  Trainer blocks(config(Recompute::kBlocks), kImages);
  Trainer changed(config(Recompute::kNone), kImages);  // takes over after the first step
  std::vector<double> losses;
  for (std::int64_t number = 0; number < kSteps; ++number) {
    losses.push_back(step(plain, number));
    EXPECT_EQ(step(blocks, number), losses.back());
    if (number == 0) {
      hand_over(blocks, changed);
    } else {
      EXPECT_EQ(step(changed, number), losses.back());
    }
  }
  expect_same_state(blocks, plain);
  expect_same_state(changed, plain);
}

}  // namespace
}  // namespace invp::testing
