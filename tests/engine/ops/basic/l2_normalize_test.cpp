#include "engine/ops/basic/l2_normalize.h"

#include <gmock/gmock.h>

#include "engine/autograd/node.h"
#include "engine/core/parallel.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"
#include "tests/support/gradient.h"

namespace invp::testing {
namespace {

class L2NormalizeTest : public OpTest {};
RUN_ON_ALL_DEVICES(L2NormalizeTest);

double length(const Values& x, std::size_t row, std::size_t depth) {
  double squares = 0;
  for (std::size_t d = 0; d < depth; ++d) squares += x[row * depth + d] * x[row * depth + d];
  return std::sqrt(squares);
}

Values reference(const Values& x, std::size_t depth, double eps) {
  Values y = x;
  for (std::size_t i = 0; i < x.size(); ++i) y[i] /= std::max(length(x, i / depth, depth), eps);
  return y;
}

Values reference_backward(const Values& x, const Values& dy, std::size_t depth, double eps) {
  Values dx = x;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t row = i / depth;
    const double norm = length(x, row, depth);
    double along = 0;
    for (std::size_t d = 0; d < depth; ++d) along += dy[row * depth + d] * x[row * depth + d];
    dx[i] = norm < eps ? dy[i] / eps : dy[i] / norm - x[i] * along / (norm * norm * norm);
  }
  return dx;
}

TEST_P(L2NormalizeTest, ByHand) {
  const Tensor y = l2_normalize(constant({3, 4, 0, 0, std::nan(""), 1}, {3, 2}));
  expect_close(y, {0.6, 0.8, 0, 0, std::nan(""), std::nan("")});
}

TEST(L2Normalize, OracleGradient) {
  const Values x = random_values(1, 12);
  const Values dy = random_values(2, 12);
  for (const double eps : {1e-12, 100.0}) {  // 100: every vector shorter than the floor
    expect_gradient([&](const Values& at) { return inner(reference(at, 4, eps), dy); }, x,
                    reference_backward(x, dy, 4, eps));
  }
}

TEST_P(L2NormalizeTest, MatchesReference) {
  for (const Shape& shape : {Shape{1, 1},
                             {3, 5},
                             {0, 4},
                             {1, 128},
                             {67, 129},
                             {2, 3, 7},
                             {300, 16},
                             {2, 511},
                             {3, 1025}}) {
    SCOPED_TRACE(message(shape));
    const std::int64_t depth = shape[-1];
    for (const float eps : {1e-12F, 4.0F}) {
      const Values values = random_values(3, shape.numel());
      const Values dy = random_values(4, shape.numel());
      const Tensor x = make_leaf(values, shape);
      const Tensor y = l2_normalize(input(x), eps);
      expect_close(y, reference(values, depth, eps), depth);
      backward(y, constant(dy, shape));
      expect_close(x.grad(), reference_backward(values, dy, depth, eps), depth, dtype());
    }
  }
}

TEST_P(L2NormalizeTest, DoesNotDependOnThreads) {
  const Tensor x = constant(random_values(5, 200 * 33), {200, 33});
  const Tensor y = l2_normalize(x);
  set_num_threads(1);
  expect_identical(l2_normalize(x), y);
  set_num_threads(0);
}

TEST(L2Normalize, RefusesWhatItCannotNormalise) {
  EXPECT_THAT([] { l2_normalize(Tensor::zeros({})); },
              ::testing::ThrowsMessage<Error>("[l2_normalize] needs vectors, got a scalar"));
  EXPECT_THAT([] { l2_normalize(Tensor::zeros({2}, DType::kI64)); },
              ::testing::ThrowsMessage<Error>("[l2_normalize] needs f32 or bf16, got i64"));
  EXPECT_THAT([] { l2_normalize(Tensor::zeros({2}), 0); },
              ::testing::ThrowsMessage<Error>("[l2_normalize] eps must be positive, got 0"));
}

}  // namespace
}  // namespace invp::testing
