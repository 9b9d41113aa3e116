// What the shards of a bank need, against the same on the whole bank.
#include "engine/ops/search/shard_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/ops/search/bank_rows.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"

namespace invp {
namespace {

using testing::Values;

constexpr std::int64_t kRows = 53;
constexpr std::int64_t kDim = 6;

Tensor integers(const std::vector<std::int32_t>& values, const Shape& shape, Device device) {
  return Tensor::from(values, shape, device);
}

/// Rows of a shard, which has one at least.
Tensor shard_of(const Tensor& bank, Shard shard) {
  const Tensor own = Tensor::empty({shard.rows_of(bank.dim(0)), bank.dim(1)}, bank.dtype());
  for (std::int64_t i = 0; i < own.dim(0); ++i) {
    const std::int64_t row = i * shard.count + shard.index;
    own.slice(i, i + 1).copy_from(bank.slice(row, row + 1));
  }
  return own;
}

class ShardRowsTest : public testing::OpTest {};
RUN_ON_ALL_DEVICES(ShardRowsTest);

TEST_P(ShardRowsTest, EveryRowIsInOneShard) {
  std::vector<std::int32_t> rows(kRows);
  std::iota(rows.begin(), rows.end(), 0);
  rows.push_back(-1);
  for (const int count : {1, 2, 3, 64}) {
    std::vector<int> seen(rows.size());
    std::int64_t all = 0;
    for (int index = 0; index < count; ++index) {
      const Shard shard{index, count};
      all += shard.rows_of(kRows);
      const Tensor own =
          rows_in_shard(integers(rows, {2, std::ssize(rows) / 2}, device()), shard).to(kCpu);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        const std::int32_t row = own.span<std::int32_t>()[i];
        if (row < 0) continue;
        ++seen[i];
        EXPECT_EQ(row * count + index, rows[i]);
        EXPECT_LT(row, shard.rows_of(kRows));
      }
    }
    EXPECT_EQ(all, kRows);
    EXPECT_EQ(std::ranges::count(seen, 1), kRows);
    EXPECT_EQ(seen.back(), 0) << "-1 is nobody's";
  }
}

// Few different values, so that there are ties between shards.
TEST_P(ShardRowsTest, MergesToTheAnswerOfTheWholeBank) {
  constexpr std::int64_t kQueries = 5;
  const auto whole_numbers = [](std::uint64_t seed, std::int64_t count) {
    Values values = testing::random_values(seed, count);
    for (double& value : values) value = std::round(value);
    return values;
  };
  const Tensor bank = testing::tensor(whole_numbers(1, kRows * kDim), {kRows, kDim});
  const Tensor queries = testing::tensor(whole_numbers(2, kQueries * kDim), {kQueries, kDim});
  for (const int count : {1, 2, 3, 8}) {
    for (const std::int64_t wanted : {std::int64_t{1}, std::int64_t{20}, kRows}) {
      const std::int64_t width = std::min(wanted, Shard{0, count}.rows_of(kRows));
      std::vector<std::int32_t> rows;
      std::vector<float> similarities;
      for (int index = 0; index < count; ++index) {
        const TopSimilar best = top_similar(queries, shard_of(bank, {index, count}), width);
        for (std::int64_t i = 0; i < kQueries; ++i) {
          for (std::int64_t w = 0; w < width; ++w) {
            const bool there = w < best.rows.dim(1);
            const std::int64_t at = i * best.rows.dim(1) + w;
            rows.push_back(there ? best.rows.data<std::int32_t>()[at] : -1);
            similarities.push_back(there ? best.similarities.data<float>()[at] : 0);
          }
        }
      }
      const Shape shape{count, kQueries, width};
      const TopSimilar merged =
          merge_similar(integers(rows, shape, device()),
                        Tensor::from(similarities, shape, device()), wanted, kRows);
      const TopSimilar want = top_similar(queries, bank, wanted);
      testing::expect_identical(merged.rows.to(kCpu), want.rows);
      testing::expect_identical(merged.similarities.to(kCpu), want.similarities);
    }
  }
}

TEST_P(ShardRowsTest, ALackOfAnswersIsNaN) {
  const TopSimilar merged = merge_similar(
      integers({0, -1, 1, 2, /* second shard */ -1, -1, 0, -1}, {2, 2, 2}, device()),
      Tensor::from(std::vector<float>{1, 0, 2, 3, 0, 0, 4, 0}, {2, 2, 2}, device()), 3, 8);
  const Tensor rows = merged.rows.to(kCpu);
  EXPECT_EQ(std::vector(rows.span<std::int32_t>().begin(), rows.span<std::int32_t>().end()),
            (std::vector<std::int32_t>{-1, -1, -1, 1, 2, 4}));
  const Values similarities = testing::values_of(merged.similarities);
  EXPECT_TRUE(std::isnan(similarities[0]) && std::isnan(similarities[2]));
  EXPECT_EQ((Values{similarities.begin() + 3, similarities.end()}), (Values{4, 2, 3}));
}

// The same bits however the bank is cut, and those of the sum in double.
TEST_P(ShardRowsTest, WeighsTheSameInAnyNumberOfShards) {
  constexpr std::int64_t kLists = 4;
  constexpr std::int64_t kWidth = 600;
  const Tensor bank =
      testing::tensor(testing::random_values(3, kRows * kDim), {kRows, kDim}, kCpu, dtype());
  Random random(4, Purpose::kSynthetic);
  std::vector<std::int32_t> rows;
  std::vector<float> weights;
  for (std::int64_t i = 0; i < kLists * kWidth; ++i) {
    rows.push_back(static_cast<std::int32_t>(random.integer(-1, kRows - 1)));
    weights.push_back(static_cast<float>(random.uniform(-1, 1)));
  }
  const Tensor lists = integers(rows, {kLists, kWidth}, device());
  const Tensor factors = Tensor::from(weights, {kLists, kWidth}, device());
  Tensor first;
  for (const int count : {1, 2, 3, 8}) {
    const Tensor sums = Tensor::empty({count, kLists, kDim}, DType::kI64, device());
    for (int index = 0; index < count; ++index) {
      const Shard shard{index, count};
      sums.slice(index, index + 1)
          .copy_from(
              weigh_rows(shard_of(bank, shard).to(device()), rows_in_shard(lists, shard), factors)
                  .view({1, kLists, kDim}));
    }
    const Tensor total = Tensor::full({kLists, kDim}, 0.5F, device());
    add_weighed(total, sums);
    if (first.defined()) testing::expect_identical(total.to(kCpu), first);
    first = total.to(kCpu);
  }
  const Values elements = testing::values_of(bank);
  for (std::int64_t i = 0; i < kLists; ++i) {
    for (std::int64_t k = 0; k < kDim; ++k) {
      double sum = 0;
      for (std::int64_t w = i * kWidth; w < (i + 1) * kWidth; ++w) {
        const std::int32_t row = rows[static_cast<std::size_t>(w)];
        if (row >= 0)
          sum += static_cast<double>(weights[static_cast<std::size_t>(w)]) *
                 elements[static_cast<std::size_t>(row * kDim + k)];
      }
      EXPECT_EQ(first.data<float>()[i * kDim + k], 0.5F + static_cast<float>(sum));
    }
  }
}

TEST_P(ShardRowsTest, WeighsNothingThatIsNoNumber) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor bank = testing::tensor({1, 2}, {2, 1}, device());
  const Tensor sums = weigh_rows(bank, integers({0, 1, 0}, {1, 3}, device()),
                                 Tensor::from(std::vector<float>{nan, 3, 5000}, {1, 3}, device()));
  const Tensor total = Tensor::zeros({1, 1}, DType::kF32, device());
  add_weighed(total, sums.view({1, 1, 1}));
  EXPECT_EQ(total.item(), 6);
}

// Images of other shards are passed over where rows are moved and taken.
TEST_P(ShardRowsTest, RowsOfOthersAreNeitherMovedNorTaken) {
  const Tensor bank = testing::tensor({3, 4, 0, 1}, {2, 2}, device());
  const Tensor indices = integers({-1, 1, -1}, {3}, device());
  const Tensor values = testing::tensor({9, 9, 2, 0, 9, 9}, {3, 2}, device());
  blend_rows(bank, indices, values, 0.0F);
  EXPECT_EQ(testing::values_of(bank), (Values{3, 4, 1, 0}));
  EXPECT_EQ(testing::values_of(take_rows(bank, indices)), (Values{0, 0, 1, 0, 0, 0}));
}

}  // namespace
}  // namespace invp
