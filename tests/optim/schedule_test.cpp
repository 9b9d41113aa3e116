#include "optim/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace invp {
namespace {

Progress at(std::int64_t step, std::int64_t steps_per_epoch = 4) {
  return {.step = step,
          .epoch = static_cast<int>(1 + step / steps_per_epoch),
          .epoch_step = step % steps_per_epoch,
          .steps_per_epoch = steps_per_epoch};
}

TEST(Schedule, CosineByEpochIsConstantWithinOne) {
  const CosineSchedule cosine{.epochs = 5};
  for (std::int64_t step = 0; step < 20; ++step) {
    const std::int64_t epoch = 1 + step / 4;
    EXPECT_DOUBLE_EQ(cosine(at(step)),
                     0.5 * (1 + std::cos(std::numbers::pi * static_cast<double>(epoch) / 5)));
  }
  EXPECT_NEAR(cosine(at(19)), 0, 1e-15);
  // The released code's first and middle epoch.
  EXPECT_NEAR(0.03 * CosineSchedule{.epochs = 800}(at(0)), 0.029999884, 1e-8);
  EXPECT_DOUBLE_EQ(CosineSchedule{.epochs = 800}({.epoch = 400}), 0.5);
}

TEST(Schedule, CosineByStepFallsWithEveryStep) {
  const CosineByStepSchedule cosine{.epochs = 5};
  EXPECT_EQ(cosine(at(0)), 1);
  EXPECT_NEAR(cosine(at(10)), 0.5, 1e-15);
  for (std::int64_t step = 1; step < 20; ++step) EXPECT_LT(cosine(at(step)), cosine(at(step - 1)));
  EXPECT_GT(cosine(at(19)), 0);
}

TEST(Schedule, DropsAtEpochsAndAtSteps) {
  const StepSchedule by_epoch{.milestones = {2, 3}, .decay = 0.1};
  EXPECT_EQ(by_epoch(at(7)), 1);  // the last step of the second epoch
  EXPECT_DOUBLE_EQ(by_epoch(at(8)), 0.1);
  EXPECT_DOUBLE_EQ(by_epoch(at(12)), 0.01);
  const DropsAtSteps by_step{.milestones = {5, 7}, .decay = 0.5};
  EXPECT_EQ(by_step(at(4)), 1);
  EXPECT_EQ(by_step(at(5)), 0.5);
  EXPECT_EQ(by_step(at(6)), 0.5);
  EXPECT_EQ(by_step(at(7)), 0.25);
  EXPECT_EQ(ConstantSchedule{}(at(1000)), 1);
}

TEST(Schedule, WarmsUpByEpochsAndBySteps) {
  const WarmupSchedule by_epoch{.warmup = 3, .base = ConstantSchedule{}};
  EXPECT_DOUBLE_EQ(by_epoch(at(0)), 1.0 / 3);
  EXPECT_DOUBLE_EQ(by_epoch(at(4)), 2.0 / 3);
  EXPECT_EQ(by_epoch(at(8)), 1);
  const WarmupBySteps by_step{.warmup = 10, .start = 0.001, .base = ConstantSchedule{}};
  EXPECT_DOUBLE_EQ(by_step(at(0)), 0.001);
  EXPECT_DOUBLE_EQ(by_step(at(5)), 0.001 * 0.5 + 0.5);
  EXPECT_EQ(by_step(at(10)), 1);
  // A drop below the warm-up is kept.
  const WarmupBySteps dropping{.warmup = 10, .start = 0, .base = DropsAtSteps{.milestones = {2}}};
  EXPECT_DOUBLE_EQ(dropping(at(5)), 0.05);
}

}  // namespace
}  // namespace invp
