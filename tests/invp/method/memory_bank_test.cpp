#include "invp/method/memory_bank.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/core/parallel.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"

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

class MemoryBankTest : public testing::OpTest {
 protected:
  static MemoryBank bank(const Values& rows, const Shape& shape) {
    return MemoryBank(constant(rows, shape));
  }
  static Tensor indices(const std::vector<std::int32_t>& rows) {
    return Tensor::from(rows, {std::ssize(rows)}, device());
  }
  static Tensor vectors(const Values& values, const Shape& shape) {
    return testing::tensor(values, shape, device());
  }
};
RUN_ON_ALL_DEVICES(MemoryBankTest);

TEST_P(MemoryBankTest, StartsAlikeOnEveryDevice) {
  const MemoryBank here(50, 7, 3, dtype(), device());
  EXPECT_EQ(here.rows().device(), device());
  testing::expect_identical(here.rows(), MemoryBank(50, 7, 3, dtype()).rows());
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

Values blend_all(Values bank, const Values& v, const std::vector<std::int32_t>& rows,
                 std::int64_t dim, double momentum) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto at = bank.begin() + rows[i] * dim;
    const auto value = v.begin() + static_cast<std::ptrdiff_t>(i) * dim;
    std::ranges::copy(blend({at, at + dim}, {value, value + dim}, momentum), at);
  }
  return bank;
}

TEST_P(MemoryBankTest, BlendsInOrderSoThatADuplicateMovesTwice) {
  const Values start = testing::random_values(1, 4 * 5);
  const Values v = testing::random_values(2, 3 * 5);
  MemoryBank moved = bank(start, {4, 5});
  moved.update(indices({2, 0, 2}), vectors(v, {3, 5}), 0.75F);
  testing::expect_close(moved.rows(), blend_all(start, v, {2, 0, 2}, 5, 0.75), 5);
}

// More than a warp has lanes, of the batch as of the columns.
TEST_P(MemoryBankTest, BlendsManyDuplicates) {
  constexpr std::int64_t kRows = 11, kDim = 37, kBatch = 100;
  const Values start = testing::random_values(1, kRows * kDim);
  const Values v = testing::random_values(2, kBatch * kDim);
  Random random(3, Purpose::kSynthetic);
  std::vector<std::int32_t> rows;
  for (std::int64_t i = 0; i < kBatch; ++i) {
    rows.push_back(static_cast<std::int32_t>(random.integer(0, kRows - 1)));
  }
  MemoryBank moved = bank(start, {kRows, kDim});
  moved.update(indices(rows), vectors(v, {kBatch, kDim}), 0.5F);
  testing::expect_close(moved.rows(), blend_all(start, v, rows, kDim, 0.5), kDim);
}

TEST_P(MemoryBankTest, StaysAsItIsWhileHalted) {
  MemoryBank kept = bank({1, 0, 0, 1}, {2, 2});
  kept.update(indices({0}), vectors({0, 1}, {1, 2}), 0.0F, indices({1}));
  EXPECT_EQ(testing::values_of(kept.rows()), (Values{1, 0, 0, 1}));
  kept.update(indices({0}), vectors({0, 1}, {1, 2}), 0.0F, indices({0}));
  EXPECT_EQ(testing::values_of(kept.rows()), (Values{0, 1, 0, 1}));
}

TEST_P(MemoryBankTest, KeepsAVanishingRowFinite) {
  MemoryBank moved = bank({0.5, 0.5}, {1, 2});
  moved.update(indices({0}), vectors({-0.5, -0.5}, {1, 2}), 0.5F);
  EXPECT_EQ(testing::values_of(moved.rows()), (Values{0, 0}));
}

struct BankShape {
  std::int64_t rows, dim, batch, width;
};

TEST_P(MemoryBankTest, GathersDotsAndSumsAndSkipsWhatIsNotThere) {
  for (const auto& [n, dim, batch, width] :
       {BankShape{30, 21, 3, 13}, BankShape{50, 128, 2, 700}, BankShape{20, 300, 4, 1}}) {
    SCOPED_TRACE(message(n, " rows of ", dim, ", ", batch, " lists of ", width));
    const auto columns = static_cast<std::size_t>(dim);
    const Values bank = testing::random_values(1, n * dim);
    const Values queries = testing::random_values(2, batch * dim);
    const Values weights = testing::random_values(3, batch * width);
    Random random(4, Purpose::kSynthetic);
    std::vector<std::int32_t> lists;
    for (std::int64_t i = 0; i < batch * width; ++i) {
      lists.push_back(static_cast<std::int32_t>(random.integer(-1, n - 1)));
    }
    Values dots(lists.size());
    Values sums(static_cast<std::size_t>(batch * dim), 1.0);
    for (std::size_t w = 0; w < lists.size(); ++w) {
      if (lists[w] < 0) continue;
      const std::size_t i = w / static_cast<std::size_t>(width);
      for (std::size_t k = 0; k < columns; ++k) {
        const double element = bank[static_cast<std::size_t>(lists[w]) * columns + k];
        dots[w] += queries[i * columns + k] * element;
        sums[i * columns + k] += weights[w] * element;
      }
    }
    const Tensor rows = Tensor::from(lists, {batch, width}, device());
    const MemoryBank stored(constant(bank, {n, dim}));
    testing::expect_close(stored.similarities(vectors(queries, {batch, dim}), rows), dots, dim);
    const Tensor total = Tensor::full({batch, dim}, 1, device());
    stored.add_weighted(total, rows, vectors(weights, {batch, width}));
    testing::expect_close(total, sums, width);

    Values taken(bank.end() - dim, bank.end());
    taken.insert(taken.end(), bank.begin(), bank.begin() + dim);
    testing::expect_close(stored.take(indices({static_cast<std::int32_t>(n - 1), 0})), taken);
  }
}

TEST_P(MemoryBankTest, FindsTheMostSimilarRowsInOrderOfTheirNumbers) {
  const MemoryBank stored = bank({1, 0, 0, 1, -1, 0, 0.5, 0.5}, {4, 2});
  const TopSimilar found = stored.search(vectors({1, 0, -1, 0.5}, {2, 2}), 2);
  EXPECT_EQ(testing::values_of(found.similarities), (Values{1, 0.5, 0.5, 1}));
  const Tensor rows = found.rows.to(kCpu);
  EXPECT_EQ(std::vector(rows.span<std::int32_t>().begin(), rows.span<std::int32_t>().end()),
            (std::vector<std::int32_t>{0, 3, 1, 2}));
  EXPECT_EQ(stored.search(vectors({1, 0}, {1, 2}), 9).rows.shape(), (Shape{1, 4}));
}

TEST_P(MemoryBankTest, AnswersEmptyLists) {
  MemoryBank stored(constant(Values(12, 1.0), {4, 3}));
  const Tensor none = Tensor::empty({2, 0}, DType::kI32, device());
  const Tensor total = Tensor::full({2, 3}, 1, device());
  EXPECT_EQ(stored.similarities(total, none).shape(), (Shape{2, 0}));
  stored.add_weighted(total, none, Tensor::empty({2, 0}, DType::kF32, device()));
  EXPECT_EQ(testing::values_of(total), Values(6, 1.0));
  EXPECT_EQ(stored.take(indices({})).shape(), (Shape{0, 3}));
  stored.update(indices({}), vectors({}, {0, 3}), 0.5F);
}

TEST_P(MemoryBankTest, RefusesWhatDoesNotFit) {
  MemoryBank kept = bank(Values(12), {4, 3});
  const Tensor one = indices({1});
  EXPECT_THROW(kept.update(one, vectors(Values(2), {1, 2}), 0.5F), Error);
  EXPECT_THROW(kept.update(one, vectors(Values(6), {2, 3}), 0.5F), Error);
  EXPECT_THROW(kept.update(one, vectors(Values(3), {1, 3}), 1.5F), Error);
  EXPECT_THROW(MemoryBank(Tensor::zeros({4})), Error);
  EXPECT_THROW(MemoryBank(0, 3, 1), Error);
}

}  // namespace
}  // namespace invp
