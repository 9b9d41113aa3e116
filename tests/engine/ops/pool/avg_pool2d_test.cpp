#include "engine/ops/pool/avg_pool2d.h"

#include <gmock/gmock.h>

#include "engine/autograd/node.h"
#include "engine/core/parallel.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"
#include "tests/support/gradient.h"

namespace invp::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::ThrowsMessage;

class AvgPool2dTest : public OpTest {};
RUN_ON_ALL_DEVICES(AvgPool2dTest);

struct Window {
  double begin, end, divisor;
};

struct Case {
  Shape x;
  std::int64_t P, Q;  // adaptive to this size, unless there is a kernel
  AvgPool2dParams params = {.kernel = 0};

  bool adaptive() const { return params.kernel == 0; }
  std::int64_t out(int dim) const {
    if (adaptive()) return dim == 1 ? P : Q;
    return (x[dim] + 2 * params.padding - params.kernel) / params.stride + 1;
  }
  Shape y() const { return {x[0], out(1), out(2), x[3]}; }
  Window window(int dim, std::int64_t o) const {
    if (!adaptive()) {
      const auto first = static_cast<double>(o * params.stride - params.padding);
      return {first, first + params.kernel, static_cast<double>(params.kernel)};
    }
    const double step = static_cast<double>(x[dim]) / static_cast<double>(out(dim));
    const double begin = std::floor(static_cast<double>(o) * step + 1e-9);
    const double end = std::ceil(static_cast<double>(o + 1) * step - 1e-9);
    return {begin, end, end - begin};
  }
  Tensor run(const Tensor& in) const {
    return adaptive() ? adaptive_avg_pool2d(in, P, Q) : avg_pool2d(in, params);
  }
};

/// Calls visit(index into y, index into x, weight) for every term of the sums.
template <class Visit>
void for_each_term(const Case& c, const Visit& visit) {
  const auto [N, H, W, C] = std::array{c.x[0], c.x[1], c.x[2], c.x[3]};
  std::size_t at = 0;
  for (std::int64_t n = 0; n < N; ++n) {
    for (std::int64_t p = 0; p < c.out(1); ++p) {
      for (std::int64_t q = 0; q < c.out(2); ++q) {
        const Window rows = c.window(1, p);
        const Window columns = c.window(2, q);
        for (std::int64_t k = 0; k < C; ++k, ++at) {
          for (std::int64_t h = 0; h < H; ++h) {
            for (std::int64_t w = 0; w < W; ++w) {
              const bool inside =
                  rows.begin <= static_cast<double>(h) && static_cast<double>(h) < rows.end &&
                  columns.begin <= static_cast<double>(w) && static_cast<double>(w) < columns.end;
              if (inside)
                visit(at, static_cast<std::size_t>(((n * H + h) * W + w) * C + k),
                      1 / (rows.divisor * columns.divisor));
            }
          }
        }
      }
    }
  }
}

Values reference(const Case& c, const Values& x) {
  Values y(static_cast<std::size_t>(c.y().numel()));
  for_each_term(c,
                [&](std::size_t out, std::size_t in, double weight) { y[out] += weight * x[in]; });
  return y;
}

Values reference_backward(const Case& c, const Values& dy) {
  Values dx(static_cast<std::size_t>(c.x.numel()));
  for_each_term(
      c, [&](std::size_t out, std::size_t in, double weight) { dx[in] += weight * dy[out]; });
  return dx;
}

const std::vector<Case> kCases = {
    {{2, 7, 7, 33}, 1, 1},
    {{1, 1, 1, 1}, 1, 1},
    {{0, 3, 3, 4}, 1, 1},
    {{3, 7, 5, 3}, 3, 2},
    {{1, 3, 4, 16}, 7, 5},
    {{2, 6, 6, 300}, 6, 6},
    {{1, 10, 13, 1}, 4, 6},
    {{2, 6, 7, 3}, 0, 0, {.kernel = 2, .stride = 2, .padding = 0}},
    {{1, 9, 8, 17}, 0, 0, {.kernel = 3, .stride = 1, .padding = 1}},
    {{2, 11, 7, 5}, 0, 0, {.kernel = 2, .stride = 3, .padding = 1}},
    // Windows so tall that a GPU splits them, in one and in several turns of a block.
    {{3, 7, 7, 2048}, 1, 1},
    {{2, 9, 11, 256}, 2, 3},
    {{2, 12, 8, 24}, 3, 8},
    {{1, 17, 4, 16}, 1, 4},
    {{2, 8, 8, 16}, 0, 0, {.kernel = 5, .stride = 3, .padding = 2}},
    {{1, 21, 19, 640}, 0, 0, {.kernel = 7, .stride = 6, .padding = 0}},
};

TEST(AvgPool2d, ByHand) {
  const Tensor x = leaf({1, 2, 3, 4, 5, 6}, {1, 2, 3, 1});
  EXPECT_THAT(values_of(adaptive_avg_pool2d(x, 1, 1)), ElementsAre(3.5));
  EXPECT_THAT(values_of(adaptive_avg_pool2d(x, 1, 2)), ElementsAre(3, 4));  // columns 0-1 and 1-2
  EXPECT_THAT(values_of(avg_pool2d(x, {.kernel = 2, .stride = 1, .padding = 0})),
              ElementsAre(3, 4));
  // The padding counts: one pixel of four is inside.
  EXPECT_THAT(values_of(avg_pool2d(x, {.kernel = 2, .stride = 4, .padding = 1})),
              ElementsAre(0.25));
}

TEST(AvgPool2d, OracleGradient) {
  for (const Case& c : {kCases[3], kCases[8]}) {
    const Values x = random_values(1, c.x.numel());
    const Values dy = random_values(2, c.y().numel());
    expect_gradient([&](const Values& at) { return inner(reference(c, at), dy); }, x,
                    reference_backward(c, dy));
  }
}

TEST_P(AvgPool2dTest, MatchesReference) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(message(c.x, " to ", c.y()));
    const Values values = random_values(3, c.x.numel());
    const Values dy = random_values(4, c.y().numel());
    const Tensor x = make_leaf(values, c.x);
    const Tensor y = c.run(input(x));
    ASSERT_EQ(y.shape(), c.y());
    expect_close(y, reference(c, values), c.x[1] * c.x[2]);
    backward(y, constant(dy, c.y()));
    expect_close(x.grad(), reference_backward(c, dy), c.y()[1] * c.y()[2], dtype());
  }
}

// Just larger than the streaming threshold, with channels that end inside a block and off a cache
// line.
TEST_P(AvgPool2dTest, LargeImagesMatchReference) {
  const Case c{{dtype() == DType::kF32 ? 97 : 194, 7, 9, 347}, 1, 1};
  const Values values = random_values(3, c.x.numel());
  const Values dy = random_values(4, c.y().numel());
  const Tensor x = make_leaf(values, c.x);
  const Tensor y = c.run(input(x));
  expect_close(y, reference(c, values), 63);
  backward(y, constant(dy, c.y()));
  expect_close(x.grad(), reference_backward(c, dy), 1, dtype());
}

TEST_P(AvgPool2dTest, DoesNotDependOnThreads) {
  const Tensor x = constant(random_values(5, 2 * 7 * 6 * 20), {2, 7, 6, 20});
  const Tensor y = adaptive_avg_pool2d(x, 3, 2);
  set_num_threads(1);
  expect_identical(adaptive_avg_pool2d(x, 3, 2), y);
  set_num_threads(0);
}

TEST(AvgPool2d, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({1, 4, 4, 1});
  EXPECT_THAT([&] { adaptive_avg_pool2d(x, 0, 1); },
              ThrowsMessage<Error>("[adaptive_avg_pool2d] cannot make 0 x 1 pixels"));
  EXPECT_THAT(
      [&] {
        adaptive_avg_pool2d(Tensor::zeros({1, 0, 4, 1}), 1, 1);
      },
      ThrowsMessage<Error>(
          "[adaptive_avg_pool2d] needs x of (N,H,W,C) with pixels, got (1, 0, 4, 1)"));
  EXPECT_THAT([&] { avg_pool2d(x, {.kernel = 5}); },
              ThrowsMessage<Error>(
                  "[avg_pool2d] the window of 5 with padding 0 does not fit into x (1, 4, 4, 1)"));
}

}  // namespace
}  // namespace invp::testing
