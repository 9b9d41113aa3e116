#include "engine/autograd/node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/devices.h"

namespace invp::testing {
namespace {

using ::testing::ElementsAre;

// Two small operations written here, so that the engine is tested apart from its operations. They
// compute on the host, wherever their tensors are.
Tensor multiply(const Tensor& a, const Tensor& b) {
  Values product = values_of(a);
  const Values factors = values_of(b);
  for (std::size_t i = 0; i < product.size(); ++i) product[i] *= factors[i];
  const Tensor y = tensor(product, a.shape(), a.device());
  return record("multiply", y, {a, b}, [&] {
    return [a = a.detach(), b = b.detach()](const Tensor& dy, const Needs& needs) {
      Grads grads(2);
      if (needs[0]) grads[0] = multiply(dy, b);
      if (needs[1]) grads[1] = multiply(dy, a);
      return grads;
    };
  });
}

Tensor sum(const Tensor& a) {
  double total = 0;
  for (const double v : values_of(a)) total += v;
  return record("sum", tensor({total}, {}, a.device()), {a}, [&] {
    return [shape = a.shape()](const Tensor& dy, const Needs&) {
      return Grads{Tensor::full(shape, dy.item(), dy.device())};
    };
  });
}

class BackwardTest : public DeviceTest {
 protected:
  static Tensor make(const Values& values) {
    return tensor(values, {std::ssize(values)}, device());
  }
  static Tensor make_leaf(const Values& values) { return make(values).set_requires_grad(true); }
};
RUN_ON_EACH_DEVICE(BackwardTest);

TEST_P(BackwardTest, SumsOverEveryUse) {
  const Tensor x = make_leaf({1, 2, 3});
  const Tensor y = multiply(x, x);
  backward(sum(multiply(y, x)));  // x^3
  EXPECT_THAT(values_of(x.grad()), ElementsAre(3, 12, 27));
}

TEST_P(BackwardTest, AddsToEarlierGradients) {
  const Tensor x = make_leaf({1, 2});
  backward(sum(multiply(x, x)));
  backward(sum(multiply(x, x)));
  EXPECT_THAT(values_of(x.grad()), ElementsAre(4, 8));
}

TEST_P(BackwardTest, SharedGradientsAreNotOverwritten) {
  const Tensor x = make_leaf({2});
  const Tensor y = make_leaf({5});
  // The same gradient tensor reaches both leaves; a later sum into one must not show in the other.
  const Tensor both = record("both", x.clone(), {x, y}, [] {
    return [](const Tensor& dy, const Needs&) { return Grads{dy, dy}; };
  });
  const Tensor scaled = multiply(both, make({3}));
  backward(sum(multiply(scaled, scaled)));
  EXPECT_THAT(values_of(x.grad()), ElementsAre(36));
  backward(sum(multiply(x, x)));
  EXPECT_THAT(values_of(x.grad()), ElementsAre(40));
  EXPECT_THAT(values_of(y.grad()), ElementsAre(36));
}

TEST_P(BackwardTest, AsksOnlyForWhatIsNeeded) {
  const Tensor x = make_leaf({3});
  const Tensor constant = make({7});
  backward(sum(multiply(x, constant)));
  EXPECT_THAT(values_of(x.grad()), ElementsAre(7));
  EXPECT_FALSE(constant.grad().defined());
  EXPECT_EQ(multiply(constant, constant).node(), nullptr);
}

TEST_P(BackwardTest, SeedScalesTheGradient) {
  const Tensor x = make_leaf({1, 2});
  backward(multiply(x, x), make({10, 100}));
  EXPECT_THAT(values_of(x.grad()), ElementsAre(20, 400));
}

TEST_P(BackwardTest, RefusesWhatHasNoGraphAndASecondCall) {
  const Tensor x = make_leaf({1});
  EXPECT_THROW(backward(x), Error);
  EXPECT_THROW(backward(multiply(make_leaf({1, 2}), make_leaf({1, 2}))), Error);
  const Tensor loss = sum(multiply(x, x));
  backward(loss);
  EXPECT_THROW(backward(loss), Error);
}

TEST_P(BackwardTest, NoGradRecordsNothing) {
  const Tensor x = make_leaf({1});
  {
    const NoGrad guard;
    EXPECT_EQ(multiply(x, x).node(), nullptr);
  }
  EXPECT_NE(multiply(x, x).node(), nullptr);
}

TEST_P(BackwardTest, DropsSavedTensorsOnTheWay) {
  const std::int64_t before = memory_stats(device()).live;
  {
    const Tensor x = make_leaf({1, 2, 3});
    const Tensor loss = sum(multiply(multiply(x, x), x));
    backward(loss);
    EXPECT_EQ(memory_stats(device()).live - before, 12 + 12 + 4);  // x, its gradient, the loss
  }
  EXPECT_EQ(memory_stats(device()).live, before);
}

}  // namespace
}  // namespace invp::testing
