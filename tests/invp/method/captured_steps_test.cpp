// Training steps queued and, on a GPU, captured and replayed, against steps taken one by one.
#include <gmock/gmock.h>

#include <limits>
#include <numeric>

#include "engine/core/numerics.h"
#include "invp/method/trainer.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"
#include "tests/support/environment.h"

namespace invp::testing {
namespace {

constexpr std::int64_t kImages = 30;
constexpr int kSize = 8;

class CapturedStepsTest : public OpTest {
 protected:
  void SetUp() override { set_numerics({.deterministic = true}); }

  static TrainerConfig config() {
    TrainerConfig config{.network = {.arch = Arch::kResNet18Cifar, .width = 4, .dim = 8},
                         .compute_type = dtype(),
                         .seed = 5,
                         .device = device()};
    config.objective.background = 12;
    config.objective.hard_positives = 3;
    config.objective.warm_epochs = 1;
    return config;
  }
};
RUN_ON_ALL_DEVICES(CapturedStepsTest);

/// The fourth of every four steps is a short batch, as at the end of an epoch.
std::int64_t batch_of(std::int64_t step) {
  return step % 4 == 3 ? 3 : 8;
}
Tensor images_of(std::int64_t step) {
  const Shape shape{batch_of(step), kSize, kSize, 3};
  return tensor(random_values(100 + static_cast<std::uint64_t>(step), shape.numel()), shape);
}
std::vector<std::int64_t> indices_of(std::int64_t step) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(batch_of(step)));
  for (std::size_t i = 0; i < indices.size(); ++i)
    indices[i] = (step % 4 * 8 + static_cast<std::int64_t>(i)) % kImages;
  return indices;
}
void enqueue(Trainer& trainer, std::int64_t step, const Tensor& images) {
  const int epoch = 1 + static_cast<int>(step / 4);
  trainer.enqueue({.images = images, .indices = indices_of(step)}, epoch,
                  1.0 / static_cast<double>(step + 1));
}
void enqueue(Trainer& trainer, std::int64_t step) {
  enqueue(trainer, step, images_of(step));
}

std::vector<NamedTensor> state_of(Trainer& trainer) {
  std::vector<NamedTensor> state = trainer.network().state();
  for (const SgdParameter& item : trainer.optimizer().state())
    state.push_back({"momentum." + item.name, item.tensor});
  state.push_back({"bank", trainer.bank().rows()});
  state.push_back({"graph", trainer.graph().rows()});
  for (NamedTensor& item : state) item.tensor = item.tensor.to(kCpu).clone();
  return state;
}
void expect_same_state(Trainer& a, Trainer& b) {
  const std::vector<NamedTensor> left = state_of(a);
  const std::vector<NamedTensor> right = state_of(b);
  ASSERT_EQ(left.size(), right.size());
  for (std::size_t i = 0; i < left.size(); ++i) {
    SCOPED_TRACE(left[i].name);
    expect_identical(left[i].tensor, right[i].tensor);
  }
}

TEST_P(CapturedStepsTest, AreTheStepsTakenOneByOneToTheBit) {
  constexpr std::int64_t kSteps = 14;  // short batches are replayed too
  Trainer queued(config(), kImages);
  std::vector<StepLosses> losses;
  for (std::int64_t step = 0; step < kSteps; ++step) {
    enqueue(queued, step);
    if (step == 6 || step == kSteps - 1) {
      for (const StepLosses& of_step : queued.finish()) losses.push_back(of_step);
    }
  }
  EXPECT_EQ(queued.why_not_captured(), "");

  const Variable off("INVP_CUDA_GRAPHS", "0");
  Trainer called(config(), kImages);
  ASSERT_EQ(losses.size(), static_cast<std::size_t>(kSteps));
  for (std::int64_t step = 0; step < kSteps; ++step) {
    const StepLosses want =
        called.step({.images = images_of(step), .indices = indices_of(step)},
                    1 + static_cast<int>(step / 4), 1.0 / static_cast<double>(step + 1));
    const StepLosses& got = losses[static_cast<std::size_t>(step)];
    EXPECT_EQ(got.losses, want.losses) << "step " << step;
    EXPECT_EQ(want.losses[0] > want.losses[1], step >= 4) << "the weight's ramp, step " << step;
  }
  EXPECT_EQ(called.why_not_captured(), device() == kCpu ? "" : "INVP_CUDA_GRAPHS=0");
  expect_same_state(queued, called);
  EXPECT_EQ(queued.network().batches_tracked(), kSteps);
  EXPECT_EQ(called.network().batches_tracked(), kSteps);
}

// The state is replaced by that of another trainer: the trainer goes on like that one.
TEST_P(CapturedStepsTest, AreCapturedAnewWhenTheStateIsReplaced) {
  Trainer other(config(), kImages);
  Trainer trainer(config(), kImages);
  for (std::int64_t step = 0; step < 3; ++step) enqueue(other, step);
  other.finish();
  for (const std::int64_t step : {0, 1, 2, 4, 5, 6}) enqueue(trainer, step);
  trainer.finish();
  load_state(trainer.network(), other.network().state(), "test");
  trainer.optimizer().load_state(other.optimizer().state(), "test");
  trainer.bank().rows().copy_from(other.bank().rows());
  trainer.graph().rows().copy_from(other.graph().rows());
  for (const std::int64_t step : {4, 5, 6, 8, 9}) {
    enqueue(other, step);
    enqueue(trainer, step);
  }
  expect_same_state(trainer, other);
}

// Nothing is learned from a step that is not finite, nor from steps that were queued after it
// before the host could know. Later steps learn again.
TEST_P(CapturedStepsTest, StopAtALossThatIsNotFinite) {
  Trainer trainer(config(), kImages);
  Trainer other(config(), kImages);
  for (const std::int64_t step : {0, 1, 2, 4}) {
    enqueue(trainer, step);
    enqueue(other, step);
  }
  EXPECT_EQ(other.finish().size(), 4U);
  const Tensor broken = images_of(5);
  broken.data<float>()[7] = std::numeric_limits<float>::quiet_NaN();
  enqueue(trainer, 5, broken);
  enqueue(trainer, 6);
  const std::vector<StepLosses> losses = trainer.finish();
  ASSERT_EQ(losses.size(), 6U);
  for (const std::size_t fine : {0, 1, 2, 3}) EXPECT_EQ(losses[fine].trouble(), "");
  EXPECT_THAT(losses[4].trouble(), ::testing::HasSubstr("not finite"));
  for (const auto& [name, tensor] : trainer.network().parameters()) {
    for (const NamedTensor& want : other.network().parameters()) {
      if (want.name == name) expect_identical(tensor, want.tensor);
    }
  }
  expect_identical(trainer.bank().rows(), other.bank().rows());
  expect_identical(trainer.graph().rows(), other.graph().rows());
  const Tensor before = trainer.bank().rows().clone();
  enqueue(trainer, 8);
  EXPECT_EQ(trainer.finish().size(), 1U);
  EXPECT_NE(values_of(trainer.bank().rows()), values_of(before));
}

TEST_P(CapturedStepsTest, NoMoreThanTheLogHolds) {
  Trainer trainer(config(), kImages);
  for (int step = 0; step < 4; ++step) enqueue(trainer, step);
  EXPECT_EQ(trainer.finish().size(), 4U);
  EXPECT_EQ(trainer.finish().size(), 0U);
}

}  // namespace
}  // namespace invp::testing
