#include "engine/autograd/node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace invp {
namespace {

using testing::ElementsAre;

// Two small operations written here, so that the engine is tested apart from its operations.
Tensor multiply(const Tensor& a, const Tensor& b) {
  const Tensor y = Tensor::empty_like(a);
  for (std::int64_t i = 0; i < a.numel(); ++i)
    y.data<float>()[i] = a.data<float>()[i] * b.data<float>()[i];
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
  float total = 0;
  for (const float v : a.span<float>()) total += v;
  return record("sum", Tensor::from<float>({total}, Shape{}), {a}, [&] {
    return [shape = a.shape()](const Tensor& dy, const Needs&) {
      return Grads{Tensor::full(shape, dy.item())};
    };
  });
}

Tensor leaf(std::vector<float> values) {
  Tensor x = Tensor::from<float>(values, {static_cast<std::int64_t>(values.size())});
  return x.set_requires_grad(true);
}

TEST(Backward, SumsOverEveryUse) {
  const Tensor x = leaf({1, 2, 3});
  const Tensor y = multiply(x, x);
  backward(sum(multiply(y, x)));  // x^3
  EXPECT_THAT(x.grad().span<float>(), ElementsAre(3, 12, 27));
}

TEST(Backward, AddsToEarlierGradients) {
  const Tensor x = leaf({1, 2});
  backward(sum(multiply(x, x)));
  backward(sum(multiply(x, x)));
  EXPECT_THAT(x.grad().span<float>(), ElementsAre(4, 8));
}

TEST(Backward, SharedGradientsAreNotOverwritten) {
  const Tensor x = leaf({2});
  const Tensor y = leaf({5});
  // The same gradient tensor reaches both leaves; a later sum into one must not show in the other.
  const Tensor both = record("both", x.clone(), {x, y}, [] {
    return [](const Tensor& dy, const Needs&) { return Grads{dy, dy}; };
  });
  const Tensor scaled = multiply(both, Tensor::from<float>({3}, {1}));
  backward(sum(multiply(scaled, scaled)));
  EXPECT_THAT(x.grad().span<float>(), ElementsAre(36));
  backward(sum(multiply(x, x)));
  EXPECT_THAT(x.grad().span<float>(), ElementsAre(40));
  EXPECT_THAT(y.grad().span<float>(), ElementsAre(36));
}

TEST(Backward, AsksOnlyForWhatIsNeeded) {
  const Tensor x = leaf({3});
  const Tensor constant = Tensor::from<float>({7}, {1});
  backward(sum(multiply(x, constant)));
  EXPECT_THAT(x.grad().span<float>(), ElementsAre(7));
  EXPECT_FALSE(constant.grad().defined());
  EXPECT_EQ(multiply(constant, constant).node(), nullptr);
}

TEST(Backward, SeedScalesTheGradient) {
  const Tensor x = leaf({1, 2});
  backward(multiply(x, x), Tensor::from<float>({10, 100}, {2}));
  EXPECT_THAT(x.grad().span<float>(), ElementsAre(20, 400));
}

TEST(Backward, RefusesWhatHasNoGraphAndASecondCall) {
  const Tensor x = leaf({1});
  EXPECT_THROW(backward(x), Error);
  EXPECT_THROW(backward(multiply(leaf({1, 2}), leaf({1, 2}))), Error);
  const Tensor loss = sum(multiply(x, x));
  backward(loss);
  EXPECT_THROW(backward(loss), Error);
}

TEST(NoGrad, RecordsNothing) {
  const Tensor x = leaf({1});
  {
    const NoGrad guard;
    EXPECT_EQ(multiply(x, x).node(), nullptr);
  }
  EXPECT_NE(multiply(x, x).node(), nullptr);
}

TEST(Backward, DropsSavedTensorsOnTheWay) {
  const std::int64_t before = memory_stats(kCpu).live;
  {
    const Tensor x = leaf({1, 2, 3});
    const Tensor loss = sum(multiply(multiply(x, x), x));
    backward(loss);
    EXPECT_EQ(memory_stats(kCpu).live - before, 12 + 12 + 4);  // x, its gradient, the loss
  }
  EXPECT_EQ(memory_stats(kCpu).live, before);
}

}  // namespace
}  // namespace invp
