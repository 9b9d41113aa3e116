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
  static std::vector<std::int32_t> integers(const Tensor& x) {
    const Tensor host = x.to(kCpu);
    return {host.span<std::int32_t>().begin(), host.span<std::int32_t>().end()};
  }

  const Tensor losses = Tensor::full({3, 4}, -1, device());
  const Tensor state = Tensor::zeros({2}, DType::kI32, device());
  const Tensor embeddings = make({1, 2, 3, 4, 5, 6}, {2, 3});
};
RUN_ON_EACH_DEVICE(LogStepTest);

TEST_P(LogStepTest, KeepsTheLossesInTheirOrderUntilItIsFull) {
  for (const double loss : {7, 8}) log_step(make({1, 2, loss}, {3}), embeddings, losses, state);
  EXPECT_THAT(values_of(losses), ElementsAre(1, 2, 7, 21, 1, 2, 8, 21, -1, -1, -1, -1));
  EXPECT_THAT(integers(state), ElementsAre(2, 0));
  for (const double loss : {9, 10}) log_step(make({1, 2, loss}, {3}), embeddings, losses, state);
  EXPECT_THAT(values_of(losses), ElementsAre(1, 2, 7, 21, 1, 2, 8, 21, 1, 2, 9, 21));
  EXPECT_THAT(integers(state), ElementsAre(3, 0));
}

TEST_P(LogStepTest, HaltsAtWhatIsNotFiniteAndStaysSo) {
  const double bad[] = {std::nan(""), std::numeric_limits<double>::infinity(),
                        -std::numeric_limits<double>::infinity()};
  for (const double value : bad) {
    for (const bool in_loss : {true, false}) {
      state.zero();
      log_step(make({1, 2, in_loss ? value : 3}, {3}),
               in_loss ? embeddings : make({value, 1}, {1, 2}), losses, state);
      EXPECT_THAT(integers(state), ElementsAre(1, 1)) << value << in_loss;
      log_step(make({1, 2, 3}, {3}), embeddings, losses, state);
      EXPECT_THAT(integers(state), ElementsAre(2, 1)) << "a good step does not make it go on";
    }
  }
}

TEST_P(LogStepTest, RefusesWhatDoesNotFit) {
  EXPECT_THROW(log_step(make({1, 2}, {2}), embeddings, losses, state), Error);
  EXPECT_THROW(log_step(make({1, 2, 3}, {3}), embeddings, make({1, 2, 3}, {1, 3}), state), Error);
  EXPECT_THROW(log_step(make({1, 2, 3}, {3}), embeddings, losses, embeddings), Error);
}

}  // namespace
}  // namespace invp::testing
