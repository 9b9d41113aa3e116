// relu, add, accumulate and scale.
#include "engine/ops/basic/elementwise.h"

#include <gmock/gmock.h>

#include "engine/autograd/accumulate.h"
#include "engine/autograd/node.h"
#include "engine/core/parallel.h"
#include "engine/ops/basic/scale.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"

namespace invp::testing {
namespace {

class ElementwiseTest : public OpTest {};
RUN_ON_ALL_DEVICES(ElementwiseTest);

// The last is larger than the streaming threshold and ends off a cache line.
const std::vector<Shape> kShapes = {{}, {1}, {0, 3}, {3, 5, 7, 3}, {1023}, {4'194'401}};

TEST_P(ElementwiseTest, ReluMatchesReference) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(message(shape));
    const Values values = random_values(1, shape.numel());
    const Values dy = random_values(2, shape.numel());
    Values y = values;
    Values dx = dy;
    for (std::size_t i = 0; i < y.size(); ++i) {
      if (values[i] > 0) continue;
      y[i] = 0;
      dx[i] = 0;
    }
    const Tensor x = make_leaf(values, shape);
    const Tensor out = relu(input(x));
    expect_close(out, y);
    backward(out, constant(dy, shape));
    expect_close(x.grad(), dx);
  }
}

TEST_P(ElementwiseTest, ReluKeepsNan) {
  const Values y = values_of(relu(constant({std::nan(""), -1, 0, 2}, {4})));
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_THAT((Values{y[1], y[2], y[3]}), ::testing::ElementsAre(0, 0, 2));
}

TEST_P(ElementwiseTest, AddMatchesReference) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(message(shape));
    const Values left = random_values(1, shape.numel());
    const Values right = random_values(2, shape.numel());
    const Values dy = random_values(3, shape.numel());
    Values y = left;
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += right[i];
    const Tensor a = make_leaf(left, shape);
    const Tensor b = make_leaf(right, shape);
    const Tensor out = add(input(a), input(b));
    expect_close(out, y);
    backward(out, constant(dy, shape));
    expect_close(a.grad(), dy);
    expect_close(b.grad(), dy);
  }
}

TEST_P(ElementwiseTest, AddToItselfDoublesTheGradient) {
  const Tensor a = make_leaf({1, -2}, {2});
  backward(add(input(a), input(a)), constant({3, 5}, {2}));
  EXPECT_THAT(values_of(a.grad()), ::testing::ElementsAre(6, 10));
}

// Rows of five elements begin at addresses that fit no wide access.
TEST_P(ElementwiseTest, SlicesMayBeginAnywhere) {
  const Values left = random_values(4, 1005);
  const Values right = random_values(5, 1005);
  const Tensor a = constant(left, {201, 5}).slice(1, 201);
  const Tensor b = constant(right, {201, 5}).slice(1, 201);
  Values sum;
  for (std::size_t i = 5; i < left.size(); ++i) sum.push_back(left[i] + right[i]);
  expect_close(add(a, b), sum);
}

TEST_P(ElementwiseTest, AccumulateMatchesReference) {
  for (const DType total_dtype : {DType::kF32, DType::kBF16}) {
    if (total_dtype == DType::kBF16 && dtype() == DType::kF32) continue;
    for (const Shape& shape : {Shape{}, {0, 3}, {7, 5}, {4099}, {300, 1000}}) {
      SCOPED_TRACE(message(total_dtype, " += ", dtype(), shape));
      const Values before = random_values(6, shape.numel());
      const Values values = random_values(7, shape.numel());
      Values expected = before;
      for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += values[i];
      const Tensor total = tensor(before, shape, device(), total_dtype);
      accumulate(total, constant(values, shape));
      expect_close(total, expected);
    }
  }
}

class ScaleTest : public DeviceTest {};
RUN_ON_EACH_DEVICE(ScaleTest);

TEST_P(ScaleTest, MultipliesByAFactorThatStaysOnItsDevice) {
  for (const std::int64_t n : {0, 1, 1023, 70'000}) {
    const Values values = random_values(8, n);
    Values expected = values;
    for (double& value : expected) value *= -0.75;
    expect_close(scale(tensor(values, {n}, device()), Tensor::full({}, -0.75F, device())),
                 expected);
  }
}

TEST(Elementwise, RefusesOtherShapesAndDtypes) {
  EXPECT_THAT([] { add(Tensor::zeros({2}), Tensor::zeros({3})); },
              ::testing::ThrowsMessage<Error>(
                  "[add] needs two tensors of one shape and dtype, got f32 (2) and f32 (3)"));
  EXPECT_THAT([] { relu(Tensor::zeros({2}, DType::kI32)); },
              ::testing::ThrowsMessage<Error>("[relu] needs f32 or bf16, got i32"));
}

}  // namespace
}  // namespace invp::testing
