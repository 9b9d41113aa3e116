// softmax, log_softmax, cross_entropy and bce_with_logits.
#include <gmock/gmock.h>

#include "engine/autograd/node.h"
#include "engine/core/parallel.h"
#include "engine/ops/basic/softmax.h"
#include "engine/ops/loss/bce_with_logits.h"
#include "engine/ops/loss/cross_entropy.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"
#include "tests/support/gradient.h"

namespace invp::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::ThrowsMessage;

class LossTest : public OpTest {};
RUN_ON_ALL_DEVICES(LossTest);

const std::vector<Shape> kShapes = {{1, 1}, {3, 5}, {0, 4}, {2, 3, 7}, {9, 1000}};

double log_sum_exp(const Values& x, std::size_t row, std::size_t classes) {
  double largest = x[row * classes];
  for (std::size_t c = 0; c < classes; ++c) largest = std::max(largest, x[row * classes + c]);
  double total = 0;
  for (std::size_t c = 0; c < classes; ++c) total += std::exp(x[row * classes + c] - largest);
  return largest + std::log(total);
}

Values reference_softmax(const Values& x, std::size_t classes, bool log) {
  Values y = x;
  for (std::size_t i = 0; i < x.size(); ++i) {
    y[i] -= log_sum_exp(x, i / classes, classes);
    if (!log) y[i] = std::exp(y[i]);
  }
  return y;
}

Values reference_softmax_backward(const Values& x, const Values& dy, std::size_t classes,
                                  bool log) {
  const Values p = reference_softmax(x, classes, false);
  Values dx(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t row = i / classes * classes;
    double total = 0;
    for (std::size_t c = row; c < row + classes; ++c) total += log ? dy[c] : dy[c] * p[c];
    dx[i] = log ? dy[i] - p[i] * total : p[i] * (dy[i] - total);
  }
  return dx;
}

TEST(Softmax, OracleGradient) {
  const Values x = random_values(1, 12);
  const Values dy = random_values(2, 12);
  for (const bool log : {false, true}) {
    expect_gradient([&](const Values& at) { return inner(reference_softmax(at, 4, log), dy); }, x,
                    reference_softmax_backward(x, dy, 4, log));
  }
}

TEST_P(LossTest, SoftmaxMatchesReference) {
  for (const Shape& shape : kShapes) {
    for (const bool log : {false, true}) {
      SCOPED_TRACE(message(shape, " log ", log));
      const auto classes = static_cast<std::size_t>(shape[-1]);
      const Values values = random_values(3, shape.numel(), -8, 8);
      const Values dy = random_values(4, shape.numel());
      const Tensor x = make_leaf(values, shape);
      const Tensor y = log ? log_softmax(input(x)) : softmax(input(x));
      expect_close(y, reference_softmax(values, classes, log), shape[-1]);
      backward(y, constant(dy, shape));
      // Backward starts from y as stored: in bf16 its rounding is multiplied by sums of dy.
      const Values dx = reference_softmax_backward(values, dy, classes, log);
      expect_close(x.grad(), dx, shape[-1], dtype(), log && dtype() == DType::kBF16 ? 32.0 : 2.0);
    }
  }
}

TEST_P(LossTest, SoftmaxOfHugeLogitsIsFinite) {
  const Tensor x = constant({1e30, 0, -1e30, 1e30}, {2, 2});
  EXPECT_THAT(values_of(softmax(x)), ElementsAre(1, 0, 0, 1));
  EXPECT_THAT(values_of(log_softmax(constant({300, 0}, {1, 2}))), ElementsAre(0, -300));
}

struct CrossEntropyResult {
  double loss;
  Values dx;
};

CrossEntropyResult reference_cross_entropy(const Values& x, const std::vector<std::int64_t>& labels,
                                           double dy) {
  const std::size_t classes = x.size() / labels.size();
  CrossEntropyResult result{0, Values(x.size())};
  double rows = 0;
  for (const std::int64_t label : labels) rows += label == kIgnoredLabel ? 0 : 1;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] == kIgnoredLabel) continue;
    const double partition = log_sum_exp(x, i, classes);
    const auto label = static_cast<std::size_t>(labels[i]);
    result.loss += (partition - x[i * classes + label]) / rows;
    for (std::size_t c = 0; c < classes; ++c) {
      result.dx[i * classes + c] =
          (std::exp(x[i * classes + c] - partition) - (c == label ? 1 : 0)) * dy / rows;
    }
  }
  return result;
}

TEST_P(LossTest, CrossEntropyByHand) {
  const Tensor labels = Tensor::from(std::vector<std::int64_t>{1, kIgnoredLabel}, {2}, device());
  const Tensor x = make_leaf({0, 0, 5, 6}, {2, 2});
  const Tensor loss = cross_entropy(input(x), labels);
  EXPECT_FLOAT_EQ(loss.item(), std::log(2.0F));
  backward(loss);
  expect_close(x.grad(), {0.5, -0.5, 0, 0});
}

TEST(CrossEntropy, OracleGradient) {
  const Values x = random_values(1, 12);
  const std::vector<std::int64_t> labels = {2, kIgnoredLabel, 0};
  expect_gradient(
      [&](const Values& at) { return 1.5 * reference_cross_entropy(at, labels, 1).loss; }, x,
      reference_cross_entropy(x, labels, 1.5).dx);
}

TEST_P(LossTest, CrossEntropyMatchesReference) {
  for (const auto& [rows, classes] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{1, 1}, {1, 7}, {33, 10}, {70, 1000}}) {
    SCOPED_TRACE(message(rows, " x ", classes));
    const Values values = random_values(5, rows * classes, -20, 20);
    std::vector<std::int64_t> labels;
    for (std::int64_t i = 0; i < rows; ++i)
      labels.push_back(i % 5 == 4 ? kIgnoredLabel : i * 7 % classes);
    const CrossEntropyResult r = reference_cross_entropy(values, labels, 0.75);
    const Tensor x = make_leaf(values, {rows, classes});
    const Tensor loss = cross_entropy(input(x), Tensor::from(labels, {rows}, device()));
    expect_close(loss, {r.loss}, classes, DType::kF32, 20);
    backward(loss, Tensor::full({}, 0.75F, device()));
    expect_close(x.grad(), r.dx, classes, dtype(), 0.75 / static_cast<double>(rows));
  }
}

TEST_P(LossTest, CrossEntropyOfNothingIsNan) {
  const Tensor labels = Tensor::from(std::vector<std::int64_t>{kIgnoredLabel}, {1}, device());
  EXPECT_TRUE(std::isnan(cross_entropy(constant({1, 2}, {1, 2}), labels).item()));
}

// On a GPU the host does not look at labels; the CPU says which it was.
TEST_P(LossTest, CrossEntropyOfALabelThatIsNoClassIsNan) {
  for (const std::int64_t label : {-1, 3}) {
    const Tensor x = make_leaf({0, 0, 0, 1, 2, 3}, {2, 3});
    const Tensor labels = Tensor::from(std::vector<std::int64_t>{0, label}, {2}, device());
    if (device() == kCpu) {
      EXPECT_THROW(cross_entropy(input(x), labels), Error);
      continue;
    }
    const Tensor loss = cross_entropy(input(x), labels);
    EXPECT_TRUE(std::isnan(loss.item()));
    backward(loss);
    for (const double g : values_of(x.grad())) EXPECT_TRUE(std::isnan(g));
  }
}

struct BceResult {
  double loss;
  Values dx;
};

BceResult reference_bce(const Values& x, const Values& t) {
  const auto n = static_cast<double>(x.size());
  BceResult result{0, Values(x.size())};
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double p = 1 / (1 + std::exp(-x[i]));
    result.loss -= (t[i] * std::log(p) + (1 - t[i]) * std::log(1 - p)) / n;
    result.dx[i] = (p - t[i]) / n;
  }
  return result;
}

TEST(BceWithLogits, OracleGradient) {
  const Values x = random_values(1, 9);
  const Values t = random_values(2, 9, 0, 1);
  expect_gradient([&](const Values& at) { return reference_bce(at, t).loss; }, x,
                  reference_bce(x, t).dx);
}

TEST_P(LossTest, BceWithLogitsMatchesReference) {
  for (const Shape& shape : {Shape{1}, {3, 20}, {40, 21, 7}}) {
    SCOPED_TRACE(message(shape));
    const Values values = random_values(6, shape.numel(), -10, 10);
    const Values targets = random_values(7, shape.numel(), 0, 1);
    const BceResult r = reference_bce(values, targets);
    const Tensor x = make_leaf(values, shape);
    const Tensor loss = bce_with_logits(input(x), tensor(targets, shape, device()));
    expect_close(loss, {r.loss}, shape.numel());
    backward(loss);
    expect_close(x.grad(), r.dx, 1, dtype(), 1 / static_cast<double>(shape.numel()));
  }
}

TEST_P(LossTest, BceWithLogitsOfHugeLogitsIsExact) {
  const Tensor x = constant({1024, -1024}, {2});
  EXPECT_EQ(bce_with_logits(x, tensor({1, 0}, {2}, device())).item(), 0);
  EXPECT_EQ(bce_with_logits(x, tensor({0, 1}, {2}, device())).item(), 1024);
}

TEST_P(LossTest, BceWithLogitsCountsIgnoredTargetsButAddsNothing) {
  const Values values = {3, -2, 0.5, 40};
  const Tensor x = make_leaf(values, {2, 2});
  const Tensor loss =
      bce_with_logits(input(x), tensor({1, kIgnoredTarget, 0, kIgnoredTarget}, {2, 2}, device()));
  const BceResult first = reference_bce({3}, {1});
  const BceResult third = reference_bce({0.5}, {0});
  expect_close(loss, {(first.loss + third.loss) / 4}, 4);
  backward(loss);
  expect_close(x.grad(), {first.dx[0] / 4, 0, third.dx[0] / 4, 0}, 1, dtype(), 0.25);
}

TEST_P(LossTest, BceWithLogitsDividesByWhatItIsGiven) {
  const Tensor x = make_leaf({3, 0.5}, {2});
  const Tensor loss = bce_with_logits(input(x), tensor({1, 0}, {2}, device()), 256);
  const BceResult both = reference_bce({3, 0.5}, {1, 0});
  expect_close(loss, {both.loss * 2 / 256}, 2);
  backward(loss);
  expect_close(x.grad(), {both.dx[0] * 2 / 256, both.dx[1] * 2 / 256}, 1, dtype(), 1.0 / 256);
}

TEST_P(LossTest, DoNotDependOnThreads) {
  const Tensor x = constant(random_values(8, 100 * 50), {100, 50});
  const Tensor labels = Tensor::from(std::vector<std::int64_t>(100, 3), {100}, device());
  const Tensor y = softmax(x);
  const Tensor loss = cross_entropy(x, labels);
  set_num_threads(1);
  expect_identical(softmax(x), y);
  expect_identical(cross_entropy(x, labels), loss);
  set_num_threads(0);
}

TEST(Losses, RefuseWhatTheyCannotCompare) {
  const Tensor x = Tensor::zeros({2, 3});
  EXPECT_THAT(
      [&] {
        cross_entropy(x, Tensor::from(std::vector<std::int64_t>{0, 3}, {2}));
      },
      ThrowsMessage<Error>("[cross_entropy] label 3 of row 1 is none of 3 classes"));
  EXPECT_THAT(
      [&] { cross_entropy(x, Tensor::zeros({2})); },
      ThrowsMessage<Error>("[cross_entropy] needs one i64 label per row of (2, 3), got f32 (2)"));
  EXPECT_THAT([&] { cross_entropy(Tensor::zeros({2}), Tensor::zeros({2}, DType::kI64)); },
              ThrowsMessage<Error>("[cross_entropy] needs logits of (N,C), got (2)"));
  EXPECT_THAT(
      [&] {
        bce_with_logits(x, Tensor::zeros({3, 2}));
      },
      ThrowsMessage<Error>("[bce_with_logits] needs f32 targets of shape (2, 3), got f32 (3, 2)"));
  EXPECT_THAT([&] { softmax(Tensor::zeros({})); },
              ThrowsMessage<Error>("[softmax] needs a dimension of classes, got a scalar"));
}

}  // namespace
}  // namespace invp::testing
