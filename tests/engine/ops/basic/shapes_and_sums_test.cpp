// cast, reshape, flatten, sum and mean.
#include <gmock/gmock.h>

#include <limits>
#include <numeric>

#include "engine/autograd/node.h"
#include "engine/core/parallel.h"
#include "engine/ops/basic/cast.h"
#include "engine/ops/basic/reduce.h"
#include "engine/ops/basic/reshape.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"

namespace invp::testing {
namespace {

class ReduceTest : public OpTest {};
RUN_ON_ALL_DEVICES(ReduceTest);

TEST_P(ReduceTest, SumAndMeanMatchReference) {
  for (const Shape& shape : {Shape{}, {1}, {0, 2}, {3, 5, 7}, {50'001}}) {
    SCOPED_TRACE(message(shape));
    const Values values = random_values(1, shape.numel());
    const double total = std::accumulate(values.begin(), values.end(), 0.0);
    const auto count = static_cast<double>(values.size());

    const Tensor x = make_leaf(values, shape);
    const Tensor y = sum(input(x));
    expect_close(y, {total}, shape.numel());
    backward(y, Tensor::full({}, 1.5F, device()));
    expect_close(x.grad(), Values(values.size(), 1.5));

    const Tensor z = make_leaf(values, shape);
    const Tensor average = mean(input(z));
    expect_close(average, {total / count}, shape.numel());
    backward(average);
    expect_close(z.grad(), Values(values.size(), 1 / count), 1, dtype());
  }
}

TEST_P(ReduceTest, DoesNotDependOnThreads) {
  const Tensor x = constant(random_values(2, 100'000), {100'000});
  const Tensor y = sum(x);
  set_num_threads(1);
  expect_identical(sum(x), y);
  set_num_threads(0);
}

// Chunks of a sum on a GPU, and elements that are left over.
TEST_P(ReduceTest, SumOfManyEqualsIsExact) {
  for (const std::int64_t n : {16'383, 16'384, 16'385, 1'000'003}) {
    EXPECT_EQ(sum(constant(Values(static_cast<std::size_t>(n), 0.25), {n})).item(),
              static_cast<float>(0.25 * static_cast<double>(n)));
  }
}

class ShapesTest : public DeviceTest {};
RUN_ON_EACH_DEVICE(ShapesTest);

TEST_P(ShapesTest, CastRoundsToNearestEvenAndBack) {
  const Tensor x = leaf({1, 1 + 1.0 / 256, 1 + 3.0 / 256, -2.5}, {2, 2}, device());
  const Tensor y = cast(x, DType::kBF16);
  EXPECT_EQ(y.dtype(), DType::kBF16);
  EXPECT_THAT(values_of(y), ::testing::ElementsAre(1, 1, 1 + 4.0 / 256, -2.5));
  backward(y, tensor({1, 2, 3, 4}, {2, 2}, device(), DType::kBF16));
  EXPECT_EQ(x.grad().dtype(), DType::kF32);
  EXPECT_THAT(values_of(x.grad()), ::testing::ElementsAre(1, 2, 3, 4));
}

TEST_P(ShapesTest, CastKeepsWhatIsNoNumber) {
  const double infinity = std::numeric_limits<double>::infinity();
  const Tensor x = tensor({std::nan(""), infinity, -infinity, 3.4e38, -0.0}, {5}, device());
  const Values y = values_of(cast(x, DType::kBF16));
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_THAT((Values{y[1], y[2], y[3]}), ::testing::ElementsAre(infinity, -infinity, infinity));
  EXPECT_TRUE(std::signbit(y[4]));
}

TEST(Cast, IsTheTensorItselfWhenNothingChanges) {
  const Tensor x = Tensor::zeros({3});
  EXPECT_TRUE(cast(x, DType::kF32).same_as(x));
  EXPECT_THAT([&] { cast(x, DType::kI32); },
              ::testing::ThrowsMessage<Error>("[cast] goes to f32 or bf16, asked for i32"));
}

TEST_P(ShapesTest, ReshapeSharesElementsAndPassesGradientsBack) {
  const Tensor x = leaf({1, 2, 3, 4, 5, 6}, {2, 3, 1}, device());
  const Tensor y = reshape(x, {3, 2});
  EXPECT_EQ(y.raw(), x.raw());
  backward(y, tensor({6, 5, 4, 3, 2, 1}, {3, 2}, device()));
  EXPECT_EQ(x.grad().shape(), x.shape());
  EXPECT_THAT(values_of(x.grad()), ::testing::ElementsAre(6, 5, 4, 3, 2, 1));
  EXPECT_EQ(flatten(x).shape(), (Shape{2, 3}));
  EXPECT_EQ(flatten(Tensor::zeros({0, 3, 4})).shape(), (Shape{0, 12}));
}

TEST_P(ShapesTest, RowsShareElementsAndPassTheirGradientsBack) {
  const Tensor x = leaf({1, 2, 3, 4, 5, 6}, {3, 2}, device());
  const Tensor last = slice_rows(x, 1, 3);
  EXPECT_THAT(values_of(last), ::testing::ElementsAre(3, 4, 5, 6));
  backward(last, tensor({1, 2, 3, 4}, {2, 2}, device()));
  EXPECT_THAT(values_of(x.grad()), ::testing::ElementsAre(0, 0, 1, 2, 3, 4));
  backward(slice_rows(x, 0, 2), tensor({1, 1, 1, 1}, {2, 2}, device()));
  EXPECT_THAT(values_of(x.grad()), ::testing::ElementsAre(1, 1, 2, 3, 3, 4));
}

TEST(Reshape, RefusesAnotherNumberOfElements) {
  EXPECT_THAT(
      [] {
        reshape(Tensor::zeros({2, 3}), {4});
      },
      ::testing::ThrowsMessage<Error>("[reshape] (2, 3) has 6 elements, it cannot become (4)"));
}

}  // namespace
}  // namespace invp::testing
