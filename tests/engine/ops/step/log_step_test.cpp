#include "engine/ops/step/log_step.h"

#include <gmock/gmock.h>

#include <limits>

#include "tests/support/devices.h"

namespace invp::testing {
namespace {

using ::testing::ElementsAre;

class LogStepTest : public DeviceTest {
 protected:
  static Tensor make(const Values& values, const Shape& shape) {
    return tensor(values, shape, device());
  }
  void log_losses(const Values& losses) const {
    for (const double loss : losses) log_step(make({1, 2, loss}, {3}), embeddings, log);
  }
  std::int32_t halted() const { return *log.halted().to(kCpu).data<std::int32_t>(); }
  /// The losses taken; the other figures of every step are checked here.
  std::vector<float> taken() {
    std::vector<float> losses;
    for (const StepLosses& step : log.take()) {
      EXPECT_EQ(step.losses.at(0), 1);
      EXPECT_EQ(step.losses.at(1), 2);
      EXPECT_EQ(step.output_sum, 21);
      losses.push_back(static_cast<float>(step.losses.at(2)));
    }
    return losses;
  }

  StepLog log{3, 3, device()};
  const Tensor embeddings = make({1, 2, 3, 4, 5, 6}, {2, 3});
};
RUN_ON_EACH_DEVICE(LogStepTest);

TEST_P(LogStepTest, KeepsTheLossesInTheirOrderUntilItIsFull) {
  log_losses({7, 8});
  EXPECT_THAT(taken(), ElementsAre(7, 8));
  EXPECT_THAT(taken(), ElementsAre());
  log_losses({9, 10, 11, 12});
  EXPECT_THAT(taken(), ElementsAre(9, 10, 11));
}

TEST_P(LogStepTest, HaltsAtWhatIsNotFiniteUntilItIsTaken) {
  const double bad[] = {std::nan(""), std::numeric_limits<double>::infinity(),
                        -std::numeric_limits<double>::infinity()};
  for (const double value : bad) {
    for (const bool in_loss : {true, false}) {
      EXPECT_EQ(halted(), 0);
      log_step(make({1, 2, in_loss ? value : 3}, {3}),
               in_loss ? embeddings : make({value, 1}, {1, 2}), log);
      EXPECT_EQ(halted(), 1) << value << in_loss;
      log_losses({3});
      EXPECT_EQ(halted(), 1) << "a good step does not make it go on";
      EXPECT_EQ(log.take().size(), 2U);
    }
  }
}

// Also where there is no room to log it.
TEST_P(LogStepTest, HaltsWhenItIsFull) {
  log_losses({1, 2, 3, std::nan("")});
  EXPECT_EQ(halted(), 1);
}

TEST_P(LogStepTest, TakesAnyNumberOfLossesAndNoOutputs) {
  StepLog one(2, 1, device());
  log_step(make({5}, {1}), {}, one);
  log_step(make({std::nan("")}, {1}), {}, one);
  EXPECT_EQ(*one.halted().to(kCpu).data<std::int32_t>(), 1);
  const std::vector<StepLosses> steps = one.take();
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_THAT(steps[0].losses, ElementsAre(5));
  EXPECT_EQ(steps[0].output_sum, 0);
  EXPECT_EQ(steps[0].trouble(), "");
  EXPECT_THAT(steps[1].trouble(), ::testing::HasSubstr("not finite"));
}

TEST_P(LogStepTest, RefusesWhatDoesNotFit) {
  EXPECT_THROW(log_step(make({1, 2}, {2}), embeddings, log), Error);
  EXPECT_THROW(log_step(Tensor::zeros({3}, DType::kI32, device()), embeddings, log), Error);
}

}  // namespace
}  // namespace invp::testing
