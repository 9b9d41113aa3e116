// The bank search on the GPU's tensor cores gives the CPU's answer, to the bit.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/ops/search/top_similar.h"
#include "engine/ops/search/top_similar_plan.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"

namespace invp {
namespace {

#if defined(INVP_CUDA) && defined(__FMA__)

using testing::Values;

Values normals(std::uint64_t seed, std::int64_t count) {
  Random random(seed, Purpose::kSynthetic);
  Values values(static_cast<std::size_t>(count));
  for (double& value : values) value = static_cast<float>(random.normal());
  return values;
}

/// Ways to search on tensor cores: with thresholds that fit, and, for few queries, that are too
/// high and too low, with room for everything and for hardly more than the answer.
std::vector<cuda::SearchPlan> plans(std::int64_t batch, std::int64_t rows, std::int64_t count) {
  const auto plan = [&](std::int64_t rank, std::int64_t capacity) {
    return cuda::SearchPlan{.stride = 1,
                            .samples = rank == 0 ? 0 : rows,
                            .rank = rank,
                            .capacity = capacity,
                            .tensor_cores = true};
  };
  const cuda::SearchPlan fitting =
      plan(std::min(rows, 2 * count + 20), std::min(rows, 2 * count + 40));
  if (batch > 4) return {fitting};
  return {fitting,           plan(count, rows), plan(count, count), plan((count + 1) / 2, rows),
          plan(rows, count), plan(0, rows)};
}

class TensorCoreSearchTest : public ::testing::TestWithParam<DType> {
 protected:
  void SetUp() override {
    if (testing::available_devices().size() < 2) GTEST_SKIP() << "no GPU";
    testing::poison_free_memory(gpu());
  }
  static Device gpu() { return testing::available_devices()[1]; }

  static void expect_cpu_answer(const Values& queries, const Values& bank, std::int64_t dim,
                                std::int64_t count) {
    const Tensor q = testing::tensor(queries, {std::ssize(queries) / dim, dim});
    const Tensor rows = testing::tensor(bank, {std::ssize(bank) / dim, dim}, kCpu, GetParam());
    const TopSimilar want = top_similar(q, rows, count);
    for (const cuda::SearchPlan& plan : plans(q.dim(0), rows.dim(0), want.rows.dim(1))) {
      SCOPED_TRACE(message(q.dim(0), " queries, ", dim, " columns, best ", count, " of ",
                           rows.dim(0), ", rank ", plan.rank, ", room for ", plan.capacity));
      const Tensor found = Tensor::empty(want.rows.shape(), DType::kI32, gpu());
      const Tensor similarities = Tensor::empty(want.rows.shape(), DType::kF32, gpu());
      cuda::top_similar(q.to(gpu()), rows.to(gpu()), plan, found, similarities);
      testing::expect_identical(found, want.rows);
      testing::expect_identical(similarities, want.similarities);
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Dtypes, TensorCoreSearchTest, ::testing::Values(DType::kF32, DType::kBF16),
                         [](const auto& dtype) {
                           return std::string(dtype.param == DType::kF32 ? "f32" : "bf16");
                         });

TEST_P(TensorCoreSearchTest, EqualsTheCpuForEveryShape) {
  struct Size {
    std::int64_t batch, dim, rows, count;
  };
  for (const auto& [batch, dim, rows, count] :
       {Size{1, 1, 50, 3}, Size{2, 3, 301, 20}, Size{1, 8, 1, 1}, Size{4, 16, 257, 1},
        Size{3, 16, 255, 255}, Size{67, 128, 301, 40}, Size{2, 200, 300, 17},
        Size{130, 24, 257, 9}}) {
    expect_cpu_answer(normals(1, batch * dim), normals(2, rows * dim), dim, count);
  }
}

TEST_P(TensorCoreSearchTest, BreaksTiesAsTheCpuDoes) {
  constexpr std::int64_t kDim = 16, kRows = 530, kCount = 37;
  const Values queries = normals(3, 2 * kDim);
  expect_cpu_answer(queries, Values(kRows * kDim, 0.0), kDim, kCount);
  expect_cpu_answer(queries, Values(kRows * kDim, 0.3), kDim, kCount);
  expect_cpu_answer(Values(2 * kDim, 0.0), normals(4, kRows * kDim), kDim, kCount);
  Values repeated = normals(5, kRows * kDim);
  for (std::size_t i = 0; i < repeated.size(); ++i) repeated[i] = repeated[i % (50 * kDim)];
  expect_cpu_answer(queries, repeated, kDim, kCount);
}

// Similarities that differ by less than TF32 can tell, at the edge of the answer.
TEST_P(TensorCoreSearchTest, TellsNearTiesApart) {
  constexpr std::int64_t kDim = 64, kRows = 600, kCount = 100;
  const Values query = normals(6, kDim);
  Values bank;
  for (std::int64_t row = 0; row < kRows; ++row) {
    for (const double q : query) {
      bank.push_back(static_cast<float>(q * (1 + std::ldexp(row * 7919 % kRows, -22))));
    }
  }
  expect_cpu_answer(query, bank, kDim, kCount);
}

TEST_P(TensorCoreSearchTest, TakesRowsOfAnyLength) {
  constexpr std::int64_t kDim = 40, kRows = 500, kCount = 30;
  const Values queries = normals(7, 3 * kDim);
  Values bank = normals(8, kRows * kDim);
  for (std::size_t i = 0; i < bank.size(); ++i) {
    const auto row = static_cast<int>(i) / int{kDim};
    bank[i] = static_cast<float>(std::ldexp(bank[i], row % 40 - 20));
  }
  expect_cpu_answer(queries, bank, kDim, kCount);
}

TEST_P(TensorCoreSearchTest, TakesNumbersThatAreNone) {
  constexpr std::int64_t kDim = 16, kRows = 400, kCount = 30;
  const double infinity = std::numeric_limits<double>::infinity();
  const Values queries = normals(9, 3 * kDim);
  Values bank = normals(10, kRows * kDim);
  bank[33 * kDim + 1] = std::numeric_limits<double>::quiet_NaN();
  bank[34 * kDim + 2] = infinity;
  bank[35 * kDim + 3] = -infinity;
  for (std::int64_t k = 0; k < kDim; ++k) {
    bank[static_cast<std::size_t>(36 * kDim + k)] = (k % 2 == 0 ? 3e38 : -3e38);
    bank[static_cast<std::size_t>(37 * kDim + k)] = 1e-40;
  }
  expect_cpu_answer(queries, bank, kDim, kCount);
}

#endif

}  // namespace
}  // namespace invp
