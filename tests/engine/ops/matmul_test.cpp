#include "engine/ops/matmul.h"

#include <gmock/gmock.h>

#include "engine/autograd/node.h"
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

struct Case {
  std::int64_t M, L, N;
};
constexpr Case kCases[] = {{1, 1, 1},      {2, 3, 4}, {17, 33, 5}, {1, 128, 64}, {64, 1, 31},
                           {128, 70, 129}, {0, 3, 4}, {3, 4, 0},   {3, 0, 4}};

TEST(Matmul, ByHand) {
  const Tensor a = Tensor::from<float>(std::vector<float>{1, 2, 3, 4}, {2, 2});
  const Tensor b = Tensor::from<float>(std::vector<float>{10, 100}, {2, 1});
  EXPECT_THAT(matmul(a, b).span<float>(), ::testing::ElementsAre(210, 430));
  const Tensor bias = Tensor::from<float>(std::vector<float>{0.5F, 0.25F}, {2});
  EXPECT_THAT(linear(a, a, bias).span<float>(),
              ::testing::ElementsAre(5.5F, 11.25F, 11.5F, 25.25F));
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
    Values want = product({xs, L, 1}, {ws, 1, L}, M, L, N);
    for (std::size_t i = 0; i < want.size(); ++i) want[i] += bs[i % bs.size()];
    expect_close(y, want, L);
    backward(y, constant(dys, {M, N}));
    expect_close(x.grad(), product({dys, N, 1}, {ws, L, 1}, M, N, L), N, dtype());
    expect_close(w.grad(), product({dys, 1, N}, {xs, L, 1}, N, M, L), M, dtype());
    const Values ones(static_cast<std::size_t>(M), 1.0);
    expect_close(b.grad(), product({ones, 0, 1}, {dys, N, 1}, 1, M, N), M);
  }
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
              ::testing::HasSubstr("bias must be f32 of shape (4)"));
  EXPECT_THAT(error_of([] {
                matmul(Tensor::zeros({2, 3}), Tensor::zeros({3, 2}, DType::kBF16));
              }),
              ::testing::HasSubstr("f32 and bf16"));
}

}  // namespace
}  // namespace invp::testing
