#include "invp/memory_bank.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/core/parallel.h"
#include "engine/ops/bank_rows.h"
#include "tests/support/close.h"

namespace invp {
namespace {

using testing::Values;

TEST(MemoryBank, StartsUniformWithUnitExpectedLength) {
  const MemoryBank bank(5000, 48, 3);
  const double limit = 1 / std::sqrt(48.0 / 3);
  double sum = 0;
  double squares = 0;
  double most = 0;
  for (const float value : bank.rows().span<float>()) {
    sum += value;
    squares += static_cast<double>(value) * value;
    most = std::max(most, std::abs(static_cast<double>(value)));
  }
  const double count = 5000 * 48;
  EXPECT_LE(most, limit);
  EXPECT_GT(most, 0.999 * limit);
  EXPECT_NEAR(sum / count, 0, 4 * limit / std::sqrt(3 * count));
  EXPECT_NEAR(squares / 5000, 1, 0.01);
}

TEST(MemoryBank, StartDependsOnSeedAndRowAlone) {
  const MemoryBank large(100, 7, 3);
  const int threads = num_threads();
  set_num_threads(1);
  const MemoryBank small(10, 7, 3);
  set_num_threads(threads);
  testing::expect_identical(large.rows().slice(0, 10), small.rows());
  EXPECT_NE(MemoryBank(10, 7, 4).rows().data<float>()[0], small.rows().data<float>()[0]);
  const MemoryBank half(10, 7, 3, DType::kBF16);
  testing::expect_close(half.rows(), testing::values_of(small.rows()));
}

Values blend(const Values& row, const Values& v, double momentum) {
  Values mixed;
  double squares = 0;
  for (std::size_t k = 0; k < row.size(); ++k) {
    mixed.push_back(momentum * row[k] + (1 - momentum) * v[k]);
    squares += mixed.back() * mixed.back();
  }
  for (double& value : mixed) value /= std::sqrt(squares);
  return mixed;
}

TEST(MemoryBank, BlendsInOrderSoThatADuplicateMovesTwice) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    const Values start = testing::random_values(1, 4 * 5);
    const Values v = testing::random_values(2, 3 * 5);
    MemoryBank bank(testing::tensor(start, {4, 5}, kCpu, dtype));
    bank.update(Tensor::from(std::vector<std::int32_t>{2, 0, 2}, {3}), testing::tensor(v, {3, 5}),
                0.75F);

    Values want = start;
    const std::size_t rows[] = {2, 0, 2};
    for (std::size_t i = 0; i < 3; ++i) {
      const auto at = want.begin() + static_cast<std::ptrdiff_t>(rows[i] * 5);
      const auto value = v.begin() + static_cast<std::ptrdiff_t>(i * 5);
      std::ranges::copy(blend({at, at + 5}, {value, value + 5}, 0.75), at);
    }
    testing::expect_close(bank.rows(), want, 5);
  }
}

TEST(MemoryBank, KeepsAVanishingRowFinite) {
  MemoryBank bank(Tensor::full({1, 2}, 0.5F));
  bank.update(Tensor::from(std::vector<std::int32_t>{0}, {1}), Tensor::full({1, 2}, -0.5F), 0.5F);
  EXPECT_EQ(testing::values_of(bank.rows()), (Values{0, 0}));
}

TEST(BankRows, GathersDotsAndSumsAndSkipsWhatIsNotThere) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    constexpr std::int64_t kRows = 30, kDim = 21, kBatch = 3, kWidth = 13;
    const Values bank = testing::random_values(1, kRows * kDim);
    const Values queries = testing::random_values(2, kBatch * kDim);
    const Values weights = testing::random_values(3, kBatch * kWidth);
    Random random(4, Purpose::kSynthetic);
    std::vector<std::int32_t> lists;
    for (std::int64_t i = 0; i < kBatch * kWidth; ++i) {
      lists.push_back(static_cast<std::int32_t>(random.integer(-1, kRows - 1)));
    }
    Values dots(kBatch * kWidth);
    Values sums(kBatch * kDim, 1.0);
    for (std::size_t w = 0; w < lists.size(); ++w) {
      if (lists[w] < 0) continue;
      const std::size_t i = w / kWidth;
      for (std::size_t k = 0; k < kDim; ++k) {
        const double element = bank[static_cast<std::size_t>(lists[w]) * kDim + k];
        dots[w] += queries[i * kDim + k] * element;
        sums[i * kDim + k] += weights[w] * element;
      }
    }
    const Tensor rows = Tensor::from(lists, {kBatch, kWidth});
    const Tensor stored = testing::tensor(bank, {kRows, kDim}, kCpu, dtype);
    testing::expect_close(row_similarities(testing::tensor(queries, {kBatch, kDim}), stored, rows),
                          dots, kDim);
    const Tensor total = Tensor::full({kBatch, kDim}, 1);
    add_weighted_rows(total, stored, rows, testing::tensor(weights, {kBatch, kWidth}));
    testing::expect_close(total, sums, kWidth);
    testing::expect_close(take_rows(stored, Tensor::from(std::vector<std::int32_t>{29, 0}, {2})),
                          [&] {
                            Values taken(bank.end() - kDim, bank.end());
                            taken.insert(taken.end(), bank.begin(), bank.begin() + kDim);
                            return taken;
                          }());
  }
}

TEST(MemoryBank, RefusesWhatDoesNotFit) {
  MemoryBank bank(Tensor::zeros({4, 3}));
  const Tensor one = Tensor::from(std::vector<std::int32_t>{1}, {1});
  EXPECT_THROW(bank.update(one, Tensor::zeros({1, 2}), 0.5F), Error);
  EXPECT_THROW(bank.update(one, Tensor::zeros({2, 3}), 0.5F), Error);
  EXPECT_THROW(bank.update(one, Tensor::zeros({1, 3}), 1.5F), Error);
  EXPECT_THROW(MemoryBank(Tensor::zeros({4})), Error);
  EXPECT_THROW(MemoryBank(0, 3, 1), Error);
}

}  // namespace
}  // namespace invp
