// The bank search against a plain sort in double.
#include "engine/ops/top_similar.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/core/parallel.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"

namespace invp {
namespace {

using testing::Values;

/// The contract, literally: all similarities, a stable sort, the chosen rows ascending.
std::vector<std::int32_t> sorted_top(const Values& query, const Values& bank, std::int64_t count) {
  const auto dim = static_cast<std::int64_t>(query.size());
  std::vector<std::int32_t> rows(bank.size() / query.size());
  Values similarity(rows.size());
  for (std::size_t j = 0; j < rows.size(); ++j) {
    similarity[j] = std::inner_product(query.begin(), query.end(),
                                       bank.begin() + static_cast<std::int64_t>(j) * dim, 0.0);
  }
  std::iota(rows.begin(), rows.end(), 0);
  std::ranges::stable_sort(rows, std::greater<>(),
                           [&](std::int32_t j) { return similarity[static_cast<std::size_t>(j)]; });
  rows.resize(std::min(rows.size(), static_cast<std::size_t>(count)));
  std::ranges::sort(rows);
  return rows;
}

/// Small integers: every similarity is exact in f32, and ties abound.
Values integers(std::uint64_t seed, std::int64_t count, int most) {
  Random random(seed, Purpose::kSynthetic);
  Values values(static_cast<std::size_t>(count));
  for (double& value : values) value = static_cast<double>(random.integer(-most, most));
  return values;
}

std::vector<std::int32_t> row_of(const Tensor& rows, std::int64_t i) {
  const std::int64_t width = rows.dim(1);
  const Tensor host = rows.to(kCpu);
  const std::int32_t* first = host.data<std::int32_t>() + i * width;
  return {first, first + width};
}

void expect_matches_sort(const Values& queries, const Values& bank, std::int64_t batch,
                         std::int64_t dim, std::int64_t count, Device device = kCpu,
                         DType dtype = DType::kF32) {
  const auto rows = static_cast<std::int64_t>(bank.size()) / dim;
  const TopSimilar top = top_similar(testing::tensor(queries, {batch, dim}, device),
                                     testing::tensor(bank, {rows, dim}, device, dtype), count);
  ASSERT_EQ(top.rows.shape(), (Shape{batch, std::min(count, rows)}));
  const Values similarities = testing::values_of(top.similarities);
  for (std::int64_t i = 0; i < batch; ++i) {
    const Values query(queries.begin() + i * dim, queries.begin() + (i + 1) * dim);
    const std::vector<std::int32_t> found = row_of(top.rows, i);
    ASSERT_EQ(found, sorted_top(query, bank, count)) << "query " << i;
    for (std::size_t c = 0; c < found.size(); ++c) {
      EXPECT_EQ(similarities[static_cast<std::size_t>(i * top.rows.dim(1)) + c],
                std::inner_product(query.begin(), query.end(), bank.begin() + found[c] * dim, 0.0));
    }
  }
}

class TopSimilarTest : public testing::OpTest {};
RUN_ON_ALL_DEVICES(TopSimilarTest);

struct Size {
  std::int64_t batch, dim, rows, count;
};

TEST_P(TopSimilarTest, EqualsAStableSort) {
  for (const auto& [batch, dim, rows, count] :
       {Size{1, 1, 1, 1}, Size{1, 1, 1, 5}, Size{3, 7, 5, 9}, Size{1, 16, 97, 10},
        Size{65, 13, 500, 20}, Size{2, 128, 1000, 999}, Size{70, 33, 203, 203},
        Size{5, 8, 20000, 3}, Size{4, 19, 30011, 700}}) {
    SCOPED_TRACE(message(batch, " queries, ", dim, " columns, ", rows, " rows, best ", count));
    expect_matches_sort(integers(1, batch * dim, 9), integers(2, rows * dim, 9), batch, dim, count,
                        device(), dtype());
  }
}

TEST_P(TopSimilarTest, AnswersAnEmptyBatch) {
  const Tensor none = Tensor::empty({0, 4}, DType::kF32, device());
  const Tensor bank = testing::tensor(integers(2, 40, 3), {10, 4}, device(), dtype());
  EXPECT_EQ(top_similar(none, bank, 3).rows.shape(), (Shape{0, 3}));
}

// Real numbers: which of two similarities is larger may hang on a rounding, so ties are judged as
// sets.
TEST(TopSimilar, IsWithinRoundingOfTheSort) {
  constexpr std::int64_t kBatch = 9, kDim = 61, kRows = 12345, kCount = 257;
  Random random(5, Purpose::kSynthetic);
  Values queries(kBatch * kDim), bank(kRows * kDim);
  for (Values* values : {&queries, &bank}) {
    for (double& value : *values) value = static_cast<float>(random.normal() / std::sqrt(kDim));
  }
  const TopSimilar top = top_similar(testing::tensor(queries, {kBatch, kDim}),
                                     testing::tensor(bank, {kRows, kDim}), kCount);
  for (std::int64_t i = 0; i < kBatch; ++i) {
    Values similarity(kRows);
    for (std::int64_t j = 0; j < kRows; ++j) {
      for (std::int64_t k = 0; k < kDim; ++k) {
        similarity[static_cast<std::size_t>(j)] += queries[static_cast<std::size_t>(i * kDim + k)] *
                                                   bank[static_cast<std::size_t>(j * kDim + k)];
      }
    }
    Values sorted = similarity;
    std::ranges::sort(sorted, std::greater<>());
    const double bound = testing::tolerance(DType::kF32, kDim, sorted[0]);
    const std::vector<std::int32_t> found = row_of(top.rows, i);
    EXPECT_TRUE(std::ranges::is_sorted(found, std::less_equal<>()));
    for (std::size_t c = 0; c < found.size(); ++c) {
      const double exact = similarity[static_cast<std::size_t>(found[c])];
      EXPECT_GE(exact, sorted[kCount - 1] - bound);
      EXPECT_NEAR(top.similarities.data<float>()[i * kCount + static_cast<std::int64_t>(c)], exact,
                  bound);
    }
    for (std::int32_t j = 0; j < kRows; ++j) {
      if (similarity[static_cast<std::size_t>(j)] > sorted[kCount - 1] + bound) {
        EXPECT_TRUE(std::ranges::binary_search(found, j)) << "row " << j << " is missing";
      }
    }
  }
}

// Each row beats all before it, so that without a sample every row would pass and every list fill
// up again and again.
TEST(TopSimilar, SurvivesAscendingSimilarities) {
  constexpr std::int64_t kRows = 40000;
  Values bank(kRows);
  std::iota(bank.begin(), bank.end(), 0.0);
  expect_matches_sort({1.0, -1.0, 0.0}, bank, 3, 1, 50);
}

// The sample takes one row in many at even distances: here they are the worst rows of the bank,
// then the best.
TEST(TopSimilar, SurvivesAMisleadingSample) {
  constexpr std::int64_t kRows = 64000;
  for (const double sampled : {-1.0, 1.0}) {
    for (const std::int64_t stride : {32, 31}) {
      Values bank(kRows);
      for (std::int64_t j = 0; j < kRows; ++j) {
        bank[static_cast<std::size_t>(j)] =
            j % stride == 0 ? sampled : static_cast<double>(j % 100) / 128;
      }
      expect_matches_sort({1.0, -1.0}, bank, 2, 1, 2500);
    }
  }
}

TEST(TopSimilar, PrefersLowerRowsAmongEquals) {
  constexpr std::int64_t kRows = 9000;
  const Tensor top = top_similar(Tensor::full({2, 3}, 1), Tensor::full({kRows, 3}, 0.5F), 100).rows;
  std::vector<std::int32_t> first(100);
  std::iota(first.begin(), first.end(), 0);
  EXPECT_EQ(row_of(top, 0), first);
  EXPECT_EQ(row_of(top, 1), first);
}

TEST(TopSimilar, DoesNotDependOnThreadsOrOtherQueries) {
  Random random(6, Purpose::kSynthetic);
  Values values(20000 * 24);
  for (double& value : values) value = random.normal();
  const Tensor bank = testing::tensor(values, {20000, 24});
  const Tensor queries = bank.slice(100, 190);
  const TopSimilar all = top_similar(queries, bank, 400);
  const int threads = num_threads();
  for (const int count : {1, 2, 3, 7}) {
    set_num_threads(count);
    const TopSimilar again = top_similar(queries, bank, 400);
    testing::expect_identical(again.rows, all.rows);
    testing::expect_identical(again.similarities, all.similarities);
  }
  set_num_threads(threads);
  const TopSimilar alone = top_similar(queries.slice(77, 78), bank, 400);
  testing::expect_identical(alone.rows, all.rows.slice(77, 78));
  testing::expect_identical(alone.similarities, all.similarities.slice(77, 78));
}

TEST(TopSimilar, RefusesNaNUnlessEnoughIsLeft) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Tensor queries = Tensor::full({3, 2}, 1);
  Tensor bank = Tensor::full({10, 2}, 1);
  bank.data<float>()[7] = nan;  // row 3
  EXPECT_EQ(row_of(top_similar(queries, bank, 9).rows, 0),
            (std::vector<std::int32_t>{0, 1, 2, 4, 5, 6, 7, 8, 9}));
  EXPECT_THROW(top_similar(queries, bank, 10), Error);
  queries.data<float>()[2] = nan;  // query 1
  EXPECT_THROW(top_similar(queries, bank, 1), Error);
}

TEST(TopSimilar, RefusesWhatDoesNotFit) {
  const Tensor queries = Tensor::zeros({2, 4});
  const Tensor bank = Tensor::zeros({5, 4});
  EXPECT_THROW(top_similar(queries, Tensor::zeros({5, 3}), 2), Error);
  EXPECT_THROW(top_similar(queries, Tensor::zeros({0, 4}), 2), Error);
  EXPECT_THROW(top_similar(queries, Tensor::zeros({5, 4}, DType::kI32), 2), Error);
  EXPECT_THROW(top_similar(Tensor::zeros({4}), bank, 2), Error);
  EXPECT_THROW(top_similar(queries, bank, 0), Error);
}

}  // namespace
}  // namespace invp
