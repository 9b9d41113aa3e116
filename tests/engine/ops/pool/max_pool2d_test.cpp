#include "engine/ops/pool/max_pool2d.h"

#include <gmock/gmock.h>

#include <limits>

#include "engine/autograd/node.h"
#include "engine/core/parallel.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"
#include "tests/support/gradient.h"

namespace invp::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::ThrowsMessage;

class MaxPool2dTest : public OpTest {};
RUN_ON_ALL_DEVICES(MaxPool2dTest);

struct Case {
  Shape x;
  MaxPool2dParams params;

  std::int64_t out(int dim) const {
    return (x[dim] + 2 * params.padding - params.kernel) / params.stride + 1;
  }
  Shape y() const { return {x[0], out(1), out(2), x[3]}; }
};

/// Calls visit(index into y, index into x of the maximum). The first one wins, NaN over everything.
template <class Visit>
void for_each_maximum(const Case& c, const Values& x, const Visit& visit) {
  const auto [N, H, W, C] = std::array{c.x[0], c.x[1], c.x[2], c.x[3]};
  std::size_t at = 0;
  for (std::int64_t n = 0; n < N; ++n) {
    for (std::int64_t p = 0; p < c.out(1); ++p) {
      for (std::int64_t q = 0; q < c.out(2); ++q) {
        for (std::int64_t k = 0; k < C; ++k, ++at) {
          std::int64_t best = -1;
          for (std::int64_t r = 0; r < c.params.kernel; ++r) {
            for (std::int64_t s = 0; s < c.params.kernel; ++s) {
              const std::int64_t h = p * c.params.stride - c.params.padding + r;
              const std::int64_t w = q * c.params.stride - c.params.padding + s;
              if (h < 0 || h >= H || w < 0 || w >= W) continue;
              const std::int64_t i = ((n * H + h) * W + w) * C + k;
              const auto value = [&x](std::int64_t j) { return x[static_cast<std::size_t>(j)]; };
              if (best < 0 || value(i) > value(best) || std::isnan(value(i))) best = i;
            }
          }
          visit(at, static_cast<std::size_t>(best));
        }
      }
    }
  }
}

Values reference(const Case& c, const Values& x) {
  Values y(static_cast<std::size_t>(c.y().numel()));
  for_each_maximum(c, x, [&](std::size_t out, std::size_t in) { y[out] = x[in]; });
  return y;
}

Values reference_backward(const Case& c, const Values& x, const Values& dy) {
  Values dx(x.size());
  for_each_maximum(c, x, [&](std::size_t out, std::size_t in) { dx[in] += dy[out]; });
  return dx;
}

const std::vector<Case> kCases = {
    {{1, 1, 1, 1}, {.kernel = 1, .stride = 1, .padding = 0}},
    {{1, 5, 7, 1}, {}},
    {{2, 8, 6, 3}, {}},
    {{0, 8, 8, 4}, {}},
    {{3, 9, 9, 19}, {.kernel = 2, .stride = 2, .padding = 0}},
    {{2, 11, 10, 16}, {.kernel = 2, .stride = 5, .padding = 1}},  // gaps that no window sees
    {{1, 7, 12, 300}, {.kernel = 5, .stride = 1, .padding = 2}},
    {{1, 15, 16, 2}, {.kernel = 15, .stride = 1, .padding = 7}},
    {{2, 9, 67, 16}, {}},
    {{1, 6, 5, 640}, {}},
    {{2, 13, 37, 24}, {.kernel = 3, .stride = 1, .padding = 1}},
    {{1, 10, 9, 16}, {.kernel = 3, .stride = 2, .padding = 0}},
};

TEST(MaxPool2d, ByHand) {
  const Tensor x = leaf({1, 5, 2, 3, 4, 0, -1, -2, 9}, {1, 3, 3, 1});
  const Tensor y = max_pool2d(x, {.kernel = 2, .stride = 1, .padding = 0});
  EXPECT_THAT(values_of(y), ElementsAre(5, 5, 4, 9));
  backward(y, tensor({1, 10, 100, 1000}, {1, 2, 2, 1}));
  EXPECT_THAT(values_of(x.grad()), ElementsAre(0, 11, 0, 0, 100, 0, 0, 0, 1000));
}

TEST(MaxPool2d, OracleGradient) {
  const Case c{{2, 5, 4, 2}, {}};
  Values x(static_cast<std::size_t>(c.x.numel()));
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<double>((i * 37) % 83) / 10;  // no ties
  const Values dy = random_values(2, c.y().numel());
  expect_gradient([&](const Values& at) { return inner(reference(c, at), dy); }, x,
                  reference_backward(c, x, dy));
}

TEST_P(MaxPool2dTest, MatchesReference) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(message(c.x, " kernel ", c.params.kernel, " stride ", c.params.stride, " padding ",
                         c.params.padding));
    const Values values = random_values(3, c.x.numel());  // bf16 values: ties in every image
    const Values dy = random_values(4, c.y().numel());
    const Tensor x = make_leaf(values, c.x);
    const Tensor y = max_pool2d(input(x), c.params);
    ASSERT_EQ(y.shape(), c.y());
    expect_close(y, reference(c, values));
    backward(y, constant(dy, c.y()));
    expect_close(x.grad(), reference_backward(c, values, dy), c.params.kernel * c.params.kernel,
                 dtype());
  }
}

// Just larger than the streaming threshold.
TEST_P(MaxPool2dTest, LargeImagesMatchReference) {
  const Case c{{4, dtype() == DType::kF32 ? 73 : 146, 151, 48}, {}};
  const Values values = random_values(3, c.x.numel());
  const Values dy = random_values(4, c.y().numel());
  const Tensor x = make_leaf(values, c.x);
  const Tensor y = max_pool2d(input(x), c.params);
  expect_close(y, reference(c, values));
  backward(y, constant(dy, c.y()));
  expect_close(x.grad(), reference_backward(c, values, dy), 9, dtype());
}

TEST_P(MaxPool2dTest, TiesGoToTheFirstAndNanWins) {
  const double nan = std::nan("");
  const double low = -std::numeric_limits<double>::infinity();
  const Tensor ties = make_leaf({7, 7, 7, 7}, {1, 2, 2, 1});
  backward(max_pool2d(input(ties), {.kernel = 2, .stride = 1, .padding = 0}),
           constant({3}, {1, 1, 1, 1}));
  EXPECT_THAT(values_of(ties.grad()), ElementsAre(3, 0, 0, 0));

  const Tensor broken = make_leaf({1, nan, 5, 2}, {1, 2, 2, 1});
  const Tensor y = max_pool2d(input(broken), {.kernel = 2, .stride = 1, .padding = 0});
  EXPECT_TRUE(std::isnan(values_of(y)[0]));
  backward(y, constant({3}, {1, 1, 1, 1}));
  EXPECT_THAT(values_of(broken.grad()), ElementsAre(0, 3, 0, 0));

  // Nothing but minus infinity: the gradient stays inside the image.
  const Tensor lowest = make_leaf({low, low, low, low}, {1, 2, 2, 1});
  backward(max_pool2d(input(lowest), {.kernel = 2, .stride = 2, .padding = 1}),
           constant({1, 2, 3, 4}, {1, 2, 2, 1}));
  EXPECT_THAT(values_of(lowest.grad()), ElementsAre(1, 2, 3, 4));
}

TEST_P(MaxPool2dTest, NanAndMinusInfinityEverywhere) {
  for (const MaxPool2dParams& params : {MaxPool2dParams{}, {.kernel = 2, .stride = 1}}) {
    for (const std::int64_t channels : {3, 16}) {
      const Case c{{2, 9, 11, channels}, params};
      SCOPED_TRACE(message(c.x, " kernel ", params.kernel));
      Values values = random_values(7, c.x.numel());
      for (std::size_t i = 0; i < values.size(); i += 17) values[i] = std::nan("");
      const auto half = values.begin() + c.x.numel() / 2;
      std::fill(half, values.end(), -std::numeric_limits<double>::infinity());
      const Values dy = random_values(8, c.y().numel());
      const Tensor x = make_leaf(values, c.x);
      const Tensor y = max_pool2d(input(x), params);
      expect_close(y, reference(c, values));
      backward(y, constant(dy, c.y()));
      expect_close(x.grad(), reference_backward(c, values, dy), 9, dtype());
    }
  }
}

// A tensor that begins in the middle of somewhere: no wide access is aligned.
TEST_P(MaxPool2dTest, TakesUnalignedTensors) {
  const Case c{{2, 7, 9, 16}, {}};
  const std::int64_t size = c.x.numel() + 1;
  Values values = random_values(9, size);
  Tensor x = constant(values, {size}).slice(1, size).view(c.x);
  values.erase(values.begin());
  if (dtype() == DType::kF32) x.set_requires_grad(true);  // leaves are f32
  const Tensor y = max_pool2d(x);
  expect_close(y, reference(c, values));
  if (!x.requires_grad()) return;
  const Values dy = random_values(10, c.y().numel());
  backward(y, constant(dy, c.y()));
  expect_close(x.grad(), reference_backward(c, values, dy), 9);
}

TEST_P(MaxPool2dTest, DoesNotDependOnThreads) {
  const Case c{{3, 13, 12, 20}, {}};
  const Values values = random_values(5, c.x.numel());
  const Values dy = random_values(6, c.y().numel());
  std::vector<Tensor> gradients;
  for (const int threads : {0, 1, 3}) {
    set_num_threads(threads);
    const Tensor x = make_leaf(values, c.x);
    backward(max_pool2d(input(x)), constant(dy, c.y()));
    gradients.push_back(x.grad());
    expect_identical(gradients.back(), gradients[0]);
  }
  set_num_threads(0);
}

TEST(MaxPool2d, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({1, 4, 4, 1});
  EXPECT_THAT(
      [&] {
        max_pool2d(Tensor::zeros({4, 4}));
      },
      ThrowsMessage<Error>("[max_pool2d] needs x of (N,H,W,C), got (4, 4)"));
  EXPECT_THAT([&] { max_pool2d(x, {.kernel = 16}); },
              ThrowsMessage<Error>("[max_pool2d] kernel must be 1 to 15, got 16"));
  EXPECT_THAT([&] { max_pool2d(x, {.kernel = 3, .padding = 2}); },
              ThrowsMessage<Error>("[max_pool2d] padding must be 0 to half the kernel 3, got 2"));
  EXPECT_THAT([&] { max_pool2d(x, {.kernel = 3, .stride = 0}); },
              ThrowsMessage<Error>("[max_pool2d] kernel and stride must be positive, got 3 and 0"));
  EXPECT_THAT([&] { max_pool2d(x, {.kernel = 7}); },
              ThrowsMessage<Error>(
                  "[max_pool2d] the window of 7 with padding 1 does not fit into x (1, 4, 4, 1)"));
}

}  // namespace
}  // namespace invp::testing
