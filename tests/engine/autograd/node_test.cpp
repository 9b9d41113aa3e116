#include "engine/autograd/node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/autograd/join.h"
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

/// What the closures below were given.
struct Joined {
  std::vector<Values> gathered;
};

/// a * factor, whose closure adds what a has gathered itself. The other input, if there is one,
/// gets a gradient of ones.
Tensor joining_multiply(const Tensor& a, const Tensor& other, double factor, Joined& joined) {
  Values product = values_of(a);
  for (double& value : product) value *= factor;
  const Tensor y = tensor(product, a.shape(), a.device());
  return record("joining_multiply", y, {a, other}, [&] {
    return [factor, shape = a.shape(), &joined](const Tensor& dy, const Needs& needs) {
      Values gradient = values_of(dy);
      for (double& value : gradient) value *= factor;
      if (const Tensor gathered = take_gathered(0); gathered.defined()) {
        joined.gathered.push_back(values_of(gathered));
        for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] += values_of(gathered)[i];
      }
      Grads grads(2);
      grads[0] = tensor(gradient, shape, dy.device());
      if (needs[1]) grads[1] = Tensor::full(shape, 1.0F, dy.device());
      return grads;
    };
  });
}

TEST_P(BackwardTest, OperationsJoinGathered) {
  Joined joined;
  const Tensor x = make_leaf({1, 2});
  const Tensor two = make({2, 2});
  const Tensor a = multiply(x, two);
  const Tensor first = joining_multiply(a, {}, 10, joined);  // runs second: joins
  const Tensor second = joining_multiply(a, {}, 100, joined);
  const Tensor third = multiply(a, make({1000, 1000}));  // runs first
  backward(sum(multiply(multiply(first, second), third)));
  // d(10 a * 100 a * 1000 a)/dx = 3e6 a^2 * 2, with a = 2 x
  EXPECT_THAT(values_of(x.grad()), ElementsAre(2.4e7, 9.6e7));
  EXPECT_THAT(joined.gathered, ElementsAre(ElementsAre(4e6, 1.6e7), ElementsAre(8e6, 3.2e7)));
}

TEST_P(BackwardTest, OnlyWhatHasGatheredIsJoined) {
  Joined joined;
  const Tensor x = make_leaf({1, 2});
  backward(sum(multiply(x, x)));
  backward(sum(joining_multiply(x, {}, 3, joined)));  // gradients of leaves stay where they are
  const Tensor a = multiply(x, make({2, 2}));
  backward(sum(joining_multiply(a, {}, 3, joined)));
  EXPECT_TRUE(joined.gathered.empty());
  EXPECT_THAT(values_of(x.grad()), ElementsAre(2 + 3 + 6, 4 + 3 + 6));
  EXPECT_THROW(take_gathered(0), Error);
}

// Both inputs of the operation are one tensor: it goes on once, with everything.
TEST_P(BackwardTest, JoinsOneInputOfTwoThatAreTheSame) {
  for (const bool gathers : {false, true}) {
    Joined joined;
    const Tensor x = make_leaf({1});
    const Tensor a = multiply(x, make({2}));
    Tensor y = joining_multiply(a, a, 3, joined);
    if (gathers) y = multiply(y, multiply(a, make({1})));
    backward(sum(y));
    // 3 + 1 to a; or of 3 a a: 6 a from the right, 6 a times 3 / 3 from the left, and the 1
    EXPECT_THAT(values_of(x.grad()), ElementsAre(gathers ? 2 * (6 + 6 + 1) : 2 * (3 + 1)));
    EXPECT_EQ(joined.gathered.size(), gathers ? 1U : 0U);
  }
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
