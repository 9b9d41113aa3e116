#include "engine/ops/conv/conv2d.h"

#include <gmock/gmock.h>

#include "engine/autograd/node.h"
#include "engine/core/parallel.h"
#include "engine/ops/basic/elementwise.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"
#include "tests/support/environment.h"
#include "tests/support/gradient.h"

namespace invp::testing {
namespace {

using ::testing::HasSubstr;

class Conv2dTest : public OpTest {};
RUN_ON_ALL_DEVICES(Conv2dTest);

struct Case {
  Shape x, w;
  Conv2dParams params;
  bool cpu_only = false;  ///< large, for the sake of an algorithm that only the CPU has
};

const std::vector<Case>& cases() {
  static const std::vector<Case> table = {
      {{1, 1, 1, 1}, {1, 1, 1, 1}, {}},
      {{2, 5, 7, 3}, {4, 3, 3, 3}, {.padding = 1}},
      {{1, 8, 8, 16}, {32, 1, 1, 16}, {}},
      {{3, 9, 6, 17}, {19, 1, 1, 17}, {.stride = 2}},
      {{2, 14, 14, 3}, {16, 7, 7, 3}, {.stride = 2, .padding = 3}},
      {{2, 8, 8, 32}, {16, 3, 3, 32}, {.stride = 2, .padding = 1}},
      {{1, 11, 13, 4}, {6, 2, 2, 4}, {.stride = 3}},  // stride beyond the window, rows left over
      {{2, 9, 9, 8}, {8, 3, 3, 8}, {.padding = 2, .dilation = 2}},
      {{2, 6, 6, 8}, {12, 3, 3, 2}, {.padding = 1, .groups = 4}},
      {{2, 5, 5, 6}, {6, 3, 3, 1}, {.padding = 1, .groups = 6}},  // depthwise
      {{1, 3, 3, 2}, {5, 3, 3, 2}, {}},                           // one output pixel
      {{1, 2, 1, 3}, {2, 1, 1, 3}, {.padding = 2}},               // mostly padding
      {{19, 4, 4, 8}, {16, 1, 1, 8}, {.stride = 2}},              // oneDNN's own overruns here
      {{0, 4, 4, 3}, {2, 3, 3, 3}, {.padding = 1}},               // no images
      // 3x3 of stride 1 and strides in whole vectors of channels: the CPU has its own algorithms
      {{1, 56, 56, 16}, {16, 3, 3, 16}, {.padding = 1}},
      {{2, 32, 32, 16}, {32, 3, 3, 16}, {.padding = 1}},
      {{1, 14, 14, 64}, {64, 3, 3, 64}, {.padding = 1}},
      {{3, 7, 7, 64}, {32, 3, 3, 64}, {.padding = 1}},
      {{2, 8, 8, 32}, {48, 3, 3, 32}, {.padding = 1}},
      {{3, 4, 4, 128}, {192, 3, 3, 128}, {.padding = 1}},
      {{2, 5, 9, 80}, {16, 3, 3, 80}, {}},
      {{1, 6, 1, 16}, {64, 3, 3, 16}, {.padding = 2}},
      {{1, 9, 10, 17}, {17, 3, 3, 17}, {.padding = 1}},
      {{1, 9, 7, 128}, {256, 3, 3, 128}, {.stride = 2, .padding = 1}},
      {{2, 7, 8, 128}, {256, 1, 1, 128}, {.stride = 2}},
      {{1, 13, 11, 32}, {256, 3, 3, 32}, {.stride = 3, .padding = 2, .dilation = 2}},
      // More than it takes at a time, backward and forward.
      {{700, 2, 2, 16}, {272, 3, 3, 16}, {.padding = 1}, true},
      {{15000, 1, 1, 16}, {144, 3, 3, 16}, {.padding = 1}, true},
  };
  return table;
}

// Calls visit(y element, x element, w element, batch element's inputs) for every product of the
// definition.
template <class Visit>
void for_each_product(const Conv2dShape& s, const Visit& visit) {
  const std::int64_t group_in = s.C / s.params.groups;
  const std::int64_t group_out = s.K / s.params.groups;
  for (std::int64_t n = 0; n < s.N; ++n)
    for (std::int64_t p = 0; p < s.P; ++p)
      for (std::int64_t q = 0; q < s.Q; ++q)
        for (std::int64_t k = 0; k < s.K; ++k)
          for (std::int64_t r = 0; r < s.R; ++r)
            for (std::int64_t t = 0; t < s.S; ++t) {
              const std::int64_t h = p * s.params.stride - s.params.padding + r * s.params.dilation;
              const std::int64_t v = q * s.params.stride - s.params.padding + t * s.params.dilation;
              if (h < 0 || h >= s.H || v < 0 || v >= s.W) continue;
              for (std::int64_t c = 0; c < group_in; ++c) {
                const std::int64_t channel = k / group_out * group_in + c;
                visit(static_cast<std::size_t>(((n * s.P + p) * s.Q + q) * s.K + k),
                      static_cast<std::size_t>(((n * s.H + h) * s.W + v) * s.C + channel),
                      static_cast<std::size_t>(((k * s.R + r) * s.S + t) * group_in + c));
              }
            }
}

struct Oracle {
  Conv2dShape s;
  explicit Oracle(const Case& c) : s(conv2d_shape(c.x, c.w, c.params)) {}

  Shape out() const { return {s.N, s.P, s.Q, s.K}; }
  std::int64_t window() const { return s.R * s.S * s.C / s.params.groups; }

  Values forward(const Values& x, const Values& w, const Values& b) const {
    Values y(static_cast<std::size_t>(out().numel()));
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = b[i % b.size()];
    for_each_product(
        s, [&](std::size_t yi, std::size_t xi, std::size_t wi) { y[yi] += x[xi] * w[wi]; });
    return y;
  }
  Values dx(const Values& dy, const Values& w, std::size_t size) const {
    Values grad(size, 0.0);
    for_each_product(
        s, [&](std::size_t yi, std::size_t xi, std::size_t wi) { grad[xi] += dy[yi] * w[wi]; });
    return grad;
  }
  Values dw(const Values& dy, const Values& x, std::size_t size) const {
    Values grad(size, 0.0);
    for_each_product(
        s, [&](std::size_t yi, std::size_t xi, std::size_t wi) { grad[wi] += dy[yi] * x[xi]; });
    return grad;
  }
  Values db(const Values& dy) const {
    Values grad(static_cast<std::size_t>(s.K), 0.0);
    for (std::size_t i = 0; i < dy.size(); ++i) grad[i % grad.size()] += dy[i];
    return grad;
  }
};

TEST(Conv2d, ByHand) {
  const Tensor x = Tensor::from<float>(std::vector<float>{1, 2, 3, 4}, {1, 2, 2, 1});
  const Tensor w = Tensor::from<float>(std::vector<float>{1, 10, 100, 1000}, {1, 2, 2, 1});
  EXPECT_EQ(conv2d(x, w).item(), 4321);
}

TEST(Conv2d, OracleGradient) {
  for (const Case& c : cases()) {
    if (c.x.numel() == 0 || c.x.numel() + c.w.numel() > 2000) continue;
    SCOPED_TRACE(message(c.x, " ", c.w));
    const Oracle oracle(c);
    const Values x = random_values(1, c.x.numel());
    const Values w = random_values(2, c.w.numel());
    const Values b = random_values(3, c.w[0]);
    const Values dy = random_values(4, oracle.out().numel());
    expect_gradient([&](const Values& at) { return inner(oracle.forward(at, w, b), dy); }, x,
                    oracle.dx(dy, w, x.size()));
    expect_gradient([&](const Values& at) { return inner(oracle.forward(x, at, b), dy); }, w,
                    oracle.dw(dy, x, w.size()));
    expect_gradient([&](const Values& at) { return inner(oracle.forward(x, w, at), dy); }, b,
                    oracle.db(dy));
  }
}

TEST_P(Conv2dTest, MatchesReference) {
  for (const Case& c : cases()) {
    if (c.cpu_only && device() != kCpu) continue;
    SCOPED_TRACE(message(c.x, " ", c.w));
    const Oracle oracle(c);
    const Values xs = random_values(1, c.x.numel());
    const Values ws = random_values(2, c.w.numel());
    const Values bs = random_values(3, c.w[0]);
    const Values dys = random_values(4, oracle.out().numel());
    const Tensor x = make_leaf(xs, c.x);
    const Tensor w = make_leaf(ws, c.w);
    const Tensor b = make_leaf(bs, {c.w[0]});
    const Tensor y = conv2d(input(x), input(w), b, c.params);
    ASSERT_EQ(y.shape(), oracle.out());
    expect_close(y, oracle.forward(xs, ws, bs), oracle.window());
    backward(y, constant(dys, oracle.out()));
    const std::int64_t pixels = oracle.s.N * oracle.s.P * oracle.s.Q;
    expect_close(x.grad(), oracle.dx(dys, ws, xs.size()), oracle.window() * oracle.s.K, dtype());
    expect_close(w.grad(), oracle.dw(dys, xs, ws.size()), pixels, dtype());
    expect_close(b.grad(), oracle.db(dys), pixels);
  }
}

// As at the input of a residual block: the gradient of the other branch is there first.
TEST_P(Conv2dTest, AddsToTheGradientOfOtherUses) {
  const std::vector<Case> kTwice = {{{2, 9, 7, 16}, {24, 3, 3, 16}, {.padding = 1}},
                                    {{3, 8, 6, 32}, {16, 1, 1, 32}, {}},
                                    {{2, 5, 5, 7}, {9, 3, 3, 7}, {.padding = 1}}};
  for (const Case& c : kTwice) {
    SCOPED_TRACE(message(c.x, " ", c.w));
    const Oracle oracle(c);
    const Values xs = random_values(1, c.x.numel(), 0.5, 2);  // relu is there to be no leaf
    const Values ws = random_values(2, c.w.numel());
    const Values dys = random_values(3, oracle.out().numel());
    const Values others = random_values(4, c.x.numel());
    const Tensor x = make_leaf(xs, c.x);
    const Tensor shared = relu(input(x));
    const Tensor y = conv2d(shared, constant(ws, c.w), {}, c.params);
    const Tensor other = constant(others, c.x);
    // The gradient is one that others hold, and must not change.
    const Tensor branch = record("branch", shared.clone(), {shared}, [&] {
      return [other](const Tensor&, const Needs&) { return Grads{other}; };
    });
    backward(record("both", y.clone(), {y, branch},
                    [&] {
                      return [like = branch.detach()](const Tensor& dy, const Needs&) {
                        return Grads{dy, like};
                      };
                    }),
             constant(dys, oracle.out()));
    Values want = oracle.dx(dys, ws, xs.size());
    for (std::size_t i = 0; i < want.size(); ++i) want[i] += others[i];
    expect_close(x.grad(), want, oracle.window() * oracle.s.K, dtype());
    expect_close(other, others);
  }
}

TEST_P(Conv2dTest, FusedAddsBiasAndResidualAndRectifies) {
  const NoGrad no_grad;
  const std::vector<Case> fused = {
      {{2, 6, 5, 8}, {16, 3, 3, 8}, {.padding = 1}},
      {{2, 6, 5, 16}, {16, 3, 3, 16}, {.padding = 1}},
      {{2, 6, 5, 16}, {256, 3, 3, 16}, {.stride = 2, .padding = 1}},
      {{2, 6, 5, 16}, {32, 1, 1, 16}, {}},
  };
  for (const Case& c : fused) {
    const Oracle oracle(c);
    const Values xs = random_values(1, c.x.numel());
    const Values ws = random_values(2, c.w.numel());
    const Values bs = random_values(3, c.w[0]);
    const Values residuals = random_values(4, oracle.out().numel());
    Values want = oracle.forward(xs, ws, bs);
    for (std::size_t i = 0; i < want.size(); ++i) want[i] = std::max(0.0, want[i] + residuals[i]);
    const Tensor residual = constant(residuals, oracle.out());
    const Tensor bias = tensor(bs, {c.w[0]}, device());
    const Tensor y = conv2d_fused(constant(xs, c.x), constant(ws, c.w),
                                  {.b = bias, .residual = residual, .relu = true}, c.params);
    expect_close(y, want, oracle.window());
    expect_close(residual, residuals);  // another handle shares it: left alone
    const Tensor in_place =
        conv2d_fused(constant(xs, c.x), constant(ws, c.w),
                     {.b = bias, .residual = residual.clone(), .relu = true}, c.params);
    expect_identical(in_place, y);
  }
}

// A network that has diverged must not look healthy after its relu, whichever algorithm convolves.
TEST_P(Conv2dTest, FusedReluKeepsNaN) {
  const NoGrad no_grad;
  for (const Case& c : cases()) {
    if (c.cpu_only && device() != kCpu) continue;
    const auto shape = conv2d_shape(c.x, c.w, c.params);
    const Shape out = {shape.N, shape.P, shape.Q, shape.K};
    SCOPED_TRACE(message(c.x, " ", c.w));
    const std::int64_t filters = c.w[0];
    Values biases = random_values(3, filters);
    biases[0] = std::nan("");
    const Tensor x = constant(random_values(1, c.x.numel()), c.x);
    const Tensor w = constant(random_values(2, c.w.numel()), c.w);
    const Tensor bias = tensor(biases, {filters}, device());
    for (const Tensor& residual : {Tensor(), constant(random_values(4, out.numel()), out)}) {
      const Tensor y =
          conv2d_fused(x, w, {.b = bias, .residual = residual, .relu = true}, c.params);
      const Values got = values_of(y);
      for (std::size_t i = 0; i < got.size(); ++i) {
        const bool poisoned = i % static_cast<std::size_t>(filters) == 0;
        ASSERT_EQ(std::isnan(got[i]), poisoned) << "output " << i;
      }
    }
  }
}

TEST_P(Conv2dTest, IsDeterministic) {
  for (const std::int64_t filters : {24, 32, 320}) {
    const Tensor x = constant(random_values(1, 4 * 9 * 9 * 16), {4, 9, 9, 16});
    const auto gradient = [&] {
      const Tensor w = make_leaf(random_values(2, filters * 9 * 16), {filters, 3, 3, 16});
      backward(conv2d(x, input(w), {}, {.padding = 1}),
               constant(random_values(3, 4 * 9 * 9 * filters), {4, 9, 9, filters}));
      return w.grad();
    };
    expect_identical(gradient(), gradient());
  }
}

TEST(Conv2d, SharedInputsSumTheirGradients) {
  const Tensor x = leaf({2}, {1, 1, 1, 1});
  const Tensor w = tensor({3}, {1, 1, 1, 1});
  backward(add(conv2d(x, w), conv2d(x, w)), tensor({1}, {1, 1, 1, 1}));
  EXPECT_EQ(x.grad().item(), 6);
}

TEST(Conv2d, ErrorsNameShapes) {
  const auto error_of = [](const Shape& x, const Shape& w, const Conv2dParams& params) {
    try {
      conv2d_shape(x, w, params);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("none");
  };
  EXPECT_THAT(error_of({2, 4, 4, 3}, {8, 3, 3, 4}, {}),
              HasSubstr("weight expects 4 channels per group, images have 3"));
  EXPECT_THAT(error_of({2, 4, 3}, {8, 3, 3, 3}, {}), HasSubstr("(2, 4, 3)"));
  EXPECT_THAT(error_of({2, 2, 2, 3}, {8, 3, 3, 3}, {}),
              HasSubstr("larger than images (2, 2, 2, 3)"));
  EXPECT_THAT(error_of({2, 4, 4, 3}, {8, 3, 3, 3}, {.stride = 0}), HasSubstr("stride 0"));
  EXPECT_THAT(error_of({2, 4, 4, 3}, {8, 3, 3, 3}, {.groups = 2}),
              HasSubstr("2 groups must divide"));
  EXPECT_THROW(conv2d(Tensor::zeros({1, 1, 1, 1}), Tensor::zeros({1, 1, 1, 1}, DType::kBF16)),
               Error);
  EXPECT_THROW(conv2d_fused(Tensor::zeros({1, 1, 1, 1}), Tensor::zeros({1, 1, 1, 1}), {}),
               Error);  // gradients are on
}

}  // namespace
}  // namespace invp::testing
