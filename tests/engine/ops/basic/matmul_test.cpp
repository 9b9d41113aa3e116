#include "engine/ops/basic/matmul.h"

#include <gmock/gmock.h>

#include "engine/autograd/node.h"
#include "engine/core/numerics.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"
#include "tests/support/gradient.h"

namespace invp::testing {
namespace {

class MatmulTest : public OpTest {};
RUN_ON_ALL_DEVICES(MatmulTest);

/// y (M, N) = a (M, L) b (L, N), any operand read through its own (row, column) strides.
struct View {
  const Values& values;
  std::int64_t row_stride, column_stride;
  double at(std::int64_t i, std::int64_t j) const {
    return values[static_cast<std::size_t>(i * row_stride + j * column_stride)];
  }
};

Values product(const View& a, const View& b, std::int64_t M, std::int64_t L, std::int64_t N) {
  Values y;
  for (std::int64_t i = 0; i < M; ++i)
    for (std::int64_t j = 0; j < N; ++j) {
      double sum = 0;
      for (std::int64_t l = 0; l < L; ++l) sum += a.at(i, l) * b.at(l, j);
      y.push_back(sum);
    }
  return y;
}

/// bias[j] added to column j.
Values biased(Values y, const Values& bias) {
  for (std::size_t i = 0; i < y.size(); ++i) y[i] += bias[i % bias.size()];
  return y;
}

Values relu_of(Values y) {
  for (double& value : y) value = std::max(value, 0.0);
  return y;
}

Values column_sums_of(const Values& x, std::int64_t columns) {
  Values sums(static_cast<std::size_t>(columns), 0.0);
  for (std::size_t i = 0; i < x.size(); ++i) sums[i % sums.size()] += x[i];
  return sums;
}

struct Case {
  std::int64_t M, L, N;
};
constexpr Case kCases[] = {{1, 1, 1},      {2, 3, 4}, {17, 33, 5}, {1, 128, 64}, {64, 1, 31},
                           {128, 70, 129}, {0, 3, 4}, {3, 4, 0},   {3, 0, 4},    {257, 513, 129}};

TEST(Matmul, ByHand) {
  const Tensor a = Tensor::from<float>(std::vector<float>{1, 2, 3, 4}, {2, 2});
  const Tensor b = Tensor::from<float>(std::vector<float>{10, 100}, {2, 1});
  EXPECT_THAT(matmul(a, b).span<float>(), ::testing::ElementsAre(210, 430));
  const Tensor bias = Tensor::from<float>(std::vector<float>{0.5F, 0.25F}, {2});
  EXPECT_THAT(linear(a, a, bias).span<float>(),
              ::testing::ElementsAre(5.5F, 11.25F, 11.5F, 25.25F));
  const Tensor shift = Tensor::from<float>(std::vector<float>{-7, -11}, {2});
  EXPECT_THAT(linear_relu(a, a, shift).span<float>(), ::testing::ElementsAre(0, 0, 4, 14));
}

TEST_P(MatmulTest, MatmulMatchesReference) {
  for (const auto& [M, L, N] : kCases) {
    SCOPED_TRACE(message(M, "x", L, "x", N));
    const Values as = random_values(1, M * L);
    const Values bs = random_values(2, L * N);
    const Values dys = random_values(3, M * N);
    const Tensor a = make_leaf(as, {M, L});
    const Tensor b = make_leaf(bs, {L, N});
    const Tensor y = matmul(input(a), input(b));
    expect_close(y, product({as, L, 1}, {bs, N, 1}, M, L, N), L);
    backward(y, constant(dys, {M, N}));
    expect_close(a.grad(), product({dys, N, 1}, {bs, 1, N}, M, N, L), N, dtype());
    expect_close(b.grad(), product({as, 1, L}, {dys, N, 1}, L, M, N), M, dtype());
  }
}

TEST_P(MatmulTest, LinearMatchesReference) {
  for (const auto& [M, L, N] : kCases) {
    SCOPED_TRACE(message(M, "x", L, "x", N));
    const Values xs = random_values(1, M * L);
    const Values ws = random_values(2, N * L);
    const Values bs = random_values(3, N);
    const Values dys = random_values(4, M * N);
    const Tensor x = make_leaf(xs, {M, L});
    const Tensor w = make_leaf(ws, {N, L});
    const Tensor b = make_leaf(bs, {N});
    const Tensor y = linear(input(x), input(w), b);
    expect_close(y, biased(product({xs, L, 1}, {ws, 1, L}, M, L, N), bs), L);
    backward(y, constant(dys, {M, N}));
    expect_close(x.grad(), product({dys, N, 1}, {ws, L, 1}, M, N, L), N, dtype());
    expect_close(w.grad(), product({dys, 1, N}, {xs, L, 1}, N, M, L), M, dtype());
    expect_close(b.grad(), column_sums_of(dys, N), M);
  }
}

TEST_P(MatmulTest, LinearReluMatchesReference) {
  for (const auto& [M, L, N] : kCases) {
    SCOPED_TRACE(message(M, "x", L, "x", N));
    const Values xs = random_values(1, M * L);
    const Values ws = random_values(2, N * L);
    const Values bs = random_values(3, N);
    const Values dys = random_values(4, M * N);
    const Tensor x = make_leaf(xs, {M, L});
    const Tensor w = make_leaf(ws, {N, L});
    const Tensor b = make_leaf(bs, {N});
    const Tensor y = linear_relu(input(x), input(w), b);
    expect_close(y, relu_of(biased(product({xs, L, 1}, {ws, 1, L}, M, L, N), bs)), L);
    backward(y, constant(dys, {M, N}));
    // The gradient's mask is the output's own: rounding may carry a sum across the kink.
    Values dzs = dys;
    const Values ys = values_of(y);
    for (std::size_t i = 0; i < dzs.size(); ++i) dzs[i] = ys[i] > 0 ? dys[i] : 0;
    expect_close(x.grad(), product({dzs, N, 1}, {ws, L, 1}, M, N, L), N, dtype());
    expect_close(w.grad(), product({dzs, 1, N}, {xs, L, 1}, N, M, L), M, dtype());
    expect_close(b.grad(), column_sums_of(dzs, N), M);
  }
}

TEST_P(MatmulTest, LinearReluWithoutBias) {
  const Values xs = random_values(1, 6);
  const Values ws = random_values(2, 12);
  const Tensor y = linear_relu(constant(xs, {2, 3}), constant(ws, {4, 3}));
  expect_close(y, relu_of(product({xs, 3, 1}, {ws, 1, 3}, 2, 3, 4)), 3);
}

// A network that has diverged must not look healthy after its head.
TEST_P(MatmulTest, LinearReluKeepsNaN) {
  const Values nan(2 * 3, std::nan(""));
  const Tensor x = constant(nan, {2, 3});
  const Tensor w = constant(random_values(1, 12), {4, 3});
  const Tensor b = tensor(random_values(2, 4), {4}, device());
  for (const Tensor& bias : {b, Tensor()}) {
    for (const double value : values_of(linear_relu(x, w, bias))) EXPECT_TRUE(std::isnan(value));
  }
}

// Biases that bf16 cannot hold: they are added in f32, and the sum is rounded once.
TEST_P(MatmulTest, BiasIsNotRounded) {
  const Values bs = {1.001, -3.007, 100.3};
  const Tensor x = constant({1.0, -0.5}, {2, 1});
  const Tensor w = constant({-1.0, 3.0, -100.0}, {3, 1});
  const Tensor b = tensor(bs, {3}, device());
  const Values want = {0.001, -0.007, 0.3, 1.501, -4.507, 150.3};
  const Values got = values_of(linear(x, w, b));
  for (std::size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(got[i], want[i], 1e-5 + 0.005 * std::abs(want[i]));
  }
}

/// A tensor that begins in the middle of another one, aligned to its elements and no more.
Tensor misaligned(Values values, const Shape& shape, Device device, DType dtype) {
  values.insert(values.begin(), 7);
  const auto end = std::ssize(values);
  return tensor(values, {end}, device, dtype).slice(1, end).view(shape);
}

// The kernels themselves, for what the operations above never ask for: both operands transposed,
// and tensors that begin anywhere.
TEST_P(MatmulTest, KernelTakesEveryTransposeAndAlignment) {
  constexpr std::int64_t M = 13, L = 24, N = 16;
  const Values as = random_values(1, M * L);
  const Values bs = random_values(2, L * N);
  const Values biases = random_values(3, N);
  const Tensor bias = misaligned(biases, {N}, device(), DType::kF32);
  for (int variant = 0; variant < 16; ++variant) {
    SCOPED_TRACE(variant);
    const bool ta = (variant & 1) != 0, tb = (variant & 2) != 0;
    const bool with_bias = (variant & 4) != 0, with_relu = (variant & 8) != 0;
    const auto flag = [](bool on) { return on ? Transpose::kYes : Transpose::kNo; };
    const Tensor a = misaligned(as, ta ? Shape{L, M} : Shape{M, L}, device(), dtype());
    const Tensor b = misaligned(bs, tb ? Shape{N, L} : Shape{L, N}, device(), dtype());
    const Tensor whole = constant(Values(2 + M * N, 7), {2 + M * N});
    const Tensor y = whole.slice(1, 1 + M * N).view({M, N});
    if (with_relu) {
      DISPATCH(device(), gemm_relu, a, flag(ta), b, flag(tb), with_bias ? bias : Tensor(), y);
    } else {
      DISPATCH(device(), gemm, a, flag(ta), b, flag(tb), with_bias ? bias : Tensor(), y);
    }
    Values want = product({as, ta ? 1 : L, ta ? M : 1}, {bs, tb ? 1 : N, tb ? L : 1}, M, L, N);
    if (with_bias) want = biased(std::move(want), biases);
    if (with_relu) want = relu_of(std::move(want));
    expect_close(y, want, L);
    EXPECT_EQ(values_of(whole).front(), 7);
    EXPECT_EQ(values_of(whole).back(), 7);
  }
}

// Products of one shape share what was prepared for it, but not their biases.
TEST_P(MatmulTest, EachProductHasItsOwnBias) {
  const Tensor x = constant({1, 2}, {2, 1});
  const Tensor w = constant({1, 1, 1}, {3, 1});
  const Tensor first = tensor({10, 20, 30}, {3}, device());
  const Tensor second = tensor({-1, -2, -4}, {3}, device());
  EXPECT_THAT(values_of(linear(x, w, first)), ::testing::ElementsAre(11, 21, 31, 12, 22, 32));
  EXPECT_THAT(values_of(linear(x, w, second)), ::testing::ElementsAre(0, -1, -3, 1, 0, -2));
}

TEST_P(MatmulTest, ColumnSumsMatchReference) {
  constexpr std::pair<std::int64_t, std::int64_t> kShapes[] = {
      {0, 5}, {1, 1}, {3, 0}, {33, 7}, {1024, 8}, {1025, 16}, {4000, 65}, {300, 2048}};
  for (const auto& [rows, columns] : kShapes) {
    SCOPED_TRACE(message(rows, "x", columns));
    const Values xs = random_values(1, rows * columns);
    const Tensor y = Tensor::empty({columns}, DType::kF32, device());
    for (const Tensor& x :
         {constant(xs, {rows, columns}), misaligned(xs, {rows, columns}, device(), dtype())}) {
      DISPATCH(device(), column_sums, x, y);
      expect_close(y, column_sums_of(xs, columns), 1, DType::kF32);
    }
  }
}

// More rows than are summed in two steps, of ones: a row left out or taken twice shows.
TEST_P(MatmulTest, ColumnSumsOfAMillionRows) {
  constexpr std::int64_t kRows = (1 << 20) + 3;
  const Tensor x = constant(Values(kRows, 1), {kRows, 1});
  const Tensor y = Tensor::empty({1}, DType::kF32, device());
  DISPATCH(device(), column_sums, x, y);
  EXPECT_EQ(y.item(), kRows);
}

// f32 products are f32 unless TF32 was allowed, and then not much worse.
TEST(Matmul, Tf32OnlyWhereAllowed) {
  const Numerics before = numerics();
  constexpr std::int64_t M = 16, L = 64, N = 8;
  Values as = random_values(1, M * L);
  Values bs = random_values(2, L * N);
  for (Values* values : {&as, &bs}) {  // no longer exact in TF32
    for (double& value : *values) value = static_cast<float>(value * 1.0007);
  }
  const Values want = product({as, L, 1}, {bs, N, 1}, M, L, N);
  for (const Device device : available_devices()) {
    SCOPED_TRACE(message(device));
    const Tensor a = tensor(as, {M, L}, device);
    const Tensor b = tensor(bs, {L, N}, device);
    set_numerics({.allow_tf32 = false});
    expect_close(matmul(a, b), want, L);
    set_numerics({.allow_tf32 = true});
    const Values loose = values_of(matmul(a, b));
    for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(loose[i], want[i], 2e-2);
  }
  set_numerics(before);
}

TEST_P(MatmulTest, GivesTheSameBitsAgain) {
  const Numerics before = numerics();
  set_numerics({.deterministic = true});
  const Tensor a = constant(random_values(1, 65 * 700), {65, 700});
  const Tensor b = constant(random_values(2, 700 * 33), {700, 33});
  expect_identical(matmul(a, b), matmul(a, b));
  set_numerics(before);
}

// The references above are each other's gradients: checked once by differences.
TEST(Matmul, OracleGradient) {
  const Values a = random_values(1, 6);
  const Values b = random_values(2, 12);
  const Values dy = random_values(3, 8);
  expect_gradient(
      [&](const Values& at) {
        return inner(product({at, 3, 1}, {b, 4, 1}, 2, 3, 4), dy);
      },
      a, product({dy, 4, 1}, {b, 1, 4}, 2, 4, 3));
  expect_gradient(
      [&](const Values& at) {
        return inner(product({a, 3, 1}, {at, 4, 1}, 2, 3, 4), dy);
      },
      b, product({a, 1, 3}, {dy, 4, 1}, 3, 2, 4));
}

TEST(Matmul, ErrorsNameShapes) {
  const auto error_of = [](const auto& body) {
    try {
      body();
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("none");
  };
  EXPECT_THAT(error_of([] {
                matmul(Tensor::zeros({2, 3}), Tensor::zeros({4, 2}));
              }),
              ::testing::HasSubstr("(2, 3) and (4, 2)"));
  EXPECT_THAT(error_of([] {
                linear(Tensor::zeros({2, 3}), Tensor::zeros({4, 2}));
              }),
              ::testing::HasSubstr("(2, 3) and (4, 2)"));
  EXPECT_THAT(error_of([] {
                linear(Tensor::zeros({2, 3}), Tensor::zeros({4, 3}), Tensor::zeros({3}));
              }),
              ::testing::HasSubstr("[linear] bias must be f32 of shape (4)"));
  EXPECT_THAT(error_of([] {
                linear_relu(Tensor::zeros({2, 3}), Tensor::zeros({4, 3}), Tensor::zeros({3}));
              }),
              ::testing::HasSubstr("[linear_relu] bias must be f32 of shape (4)"));
  EXPECT_THAT(error_of([] {
                matmul(Tensor::zeros({2, 3}), Tensor::zeros({3, 2}, DType::kBF16));
              }),
              ::testing::HasSubstr("f32 and bf16"));
}

}  // namespace
}  // namespace invp::testing
