// The bank search against a plain sort in double.
#include "engine/ops/search/top_similar.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/core/parallel.h"
#include "engine/ops/search/top_similar_plan.h"
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

Values normals(std::uint64_t seed, std::int64_t count) {
  Random random(seed, Purpose::kSynthetic);
  Values values(static_cast<std::size_t>(count));
  for (double& value : values) value = static_cast<float>(random.normal());
  return values;
}

// The order of a similarity's sum is part of the contract, so devices agree to the bit.
#ifdef __FMA__
TEST_P(TopSimilarTest, EqualsTheCpuToTheBit) {
  for (const auto& [batch, dim, rows, count] :
       {Size{3, 1, 300, 20}, Size{5, 6, 130, 130}, Size{130, 61, 700, 31}, Size{2, 128, 9001, 77},
        Size{7, 20, 12800, 500}}) {
    SCOPED_TRACE(message(batch, " queries, ", dim, " columns, ", rows, " rows, best ", count));
    const Tensor queries = testing::tensor(normals(1, batch * dim), {batch, dim});
    const Tensor bank = testing::tensor(normals(2, rows * dim), {rows, dim}, kCpu, dtype());
    const TopSimilar want = top_similar(queries, bank, count);
    const TopSimilar top = top_similar(queries.to(device()), bank.to(device()), count);
    testing::expect_identical(top.rows, want.rows);
    testing::expect_identical(top.similarities, want.similarities);
  }
}

// Slices begin where vectors of four may not.
TEST_P(TopSimilarTest, ReadsSlicesOfTensors) {
  const Tensor queries = testing::tensor(normals(1, 6 * 7), {6, 7});
  const Tensor bank = testing::tensor(normals(2, 90 * 7), {90, 7}, kCpu, dtype());
  const TopSimilar want = top_similar(queries.slice(1, 6).clone(), bank.slice(3, 90).clone(), 9);
  const TopSimilar top =
      top_similar(queries.to(device()).slice(1, 6), bank.to(device()).slice(3, 90), 9);
  testing::expect_identical(top.rows, want.rows);
  testing::expect_identical(top.similarities, want.similarities);
}

#endif

class TopSimilarCaseTest : public testing::DeviceTest {};
RUN_ON_EACH_DEVICE(TopSimilarCaseTest);

// Real numbers: which of two similarities is larger may hang on a rounding, so ties are judged as
// sets.
TEST_P(TopSimilarCaseTest, IsWithinRoundingOfTheSort) {
  constexpr std::int64_t kBatch = 9, kDim = 61, kRows = 12345, kCount = 257;
  const Values queries = normals(5, kBatch * kDim);
  const Values bank = normals(6, kRows * kDim);
  const TopSimilar top = top_similar(testing::tensor(queries, {kBatch, kDim}, device()),
                                     testing::tensor(bank, {kRows, kDim}, device()), kCount);
  const Values similarities = testing::values_of(top.similarities);
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
      EXPECT_NEAR(similarities[static_cast<std::size_t>(i * kCount) + c], exact, bound);
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
TEST_P(TopSimilarCaseTest, SurvivesAscendingSimilarities) {
  constexpr std::int64_t kRows = 40000;
  Values bank(kRows);
  std::iota(bank.begin(), bank.end(), 0.0);
  expect_matches_sort({1.0, -1.0, 0.0}, bank, 3, 1, 50, device());
}

// The sample takes one row in many at even distances: here they are the worst rows of the bank,
// then the best.
TEST_P(TopSimilarCaseTest, SurvivesAMisleadingSample) {
  constexpr std::int64_t kRows = 64000;
  for (const double sampled : {-1.0, 1.0}) {
    for (const std::int64_t stride : {32, 31, 16}) {
      Values bank(kRows);
      for (std::int64_t j = 0; j < kRows; ++j) {
        bank[static_cast<std::size_t>(j)] =
            j % stride == 0 ? sampled : static_cast<double>(j % 100) / 128;
      }
      expect_matches_sort({1.0, -1.0}, bank, 2, 1, 2500, device());
    }
  }
}

TEST_P(TopSimilarCaseTest, PrefersLowerRowsAmongEquals) {
  constexpr std::int64_t kRows = 9000;
  const Tensor top =
      top_similar(Tensor::full({2, 3}, 1, device()), Tensor::full({kRows, 3}, 0.5F, device()), 100)
          .rows;
  std::vector<std::int32_t> first(100);
  std::iota(first.begin(), first.end(), 0);
  EXPECT_EQ(row_of(top, 0), first);
  EXPECT_EQ(row_of(top, 1), first);
}

// Zero of either sign is one similarity, infinities are the extremes.
TEST_P(TopSimilarCaseTest, OrdersZerosAndInfinities) {
  const double infinity = std::numeric_limits<double>::infinity();
  const Values bank{-infinity, 0.0, -1e-30, infinity, -0.0, 1e-30, -2.0, -infinity};
  const auto best = [&](std::int64_t count) {
    return row_of(top_similar(testing::tensor({1e-30}, {1, 1}, device()),
                              testing::tensor(bank, {8, 1}, device()), count)
                      .rows,
                  0);
  };
  EXPECT_EQ(best(1), (std::vector<std::int32_t>{3}));
  EXPECT_EQ(best(3), (std::vector<std::int32_t>{1, 2, 3}));  // 1e-60 is 0 in f32
  EXPECT_EQ(best(6), (std::vector<std::int32_t>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(best(7), (std::vector<std::int32_t>{0, 1, 2, 3, 4, 5, 6}));
}

TEST_P(TopSimilarCaseTest, AnswersFromALargeBank) {
  constexpr std::int64_t kRows = 800000;
  Values bank(kRows);
  for (std::int64_t j = 0; j < kRows; ++j) {
    bank[static_cast<std::size_t>(j)] = static_cast<double>(j * 7919 % 100003);
  }
  expect_matches_sort({1.0}, bank, 1, 1, 3000, device());
}

TEST_P(TopSimilarCaseTest, DoesNotDependOnThreadsOrOtherQueries) {
  const Tensor bank = testing::tensor(normals(6, 20000 * 24), {20000, 24}, device());
  const Tensor queries = bank.slice(100, 190);
  const TopSimilar all = top_similar(queries, bank, 400);
  const TopSimilar alone = top_similar(queries.slice(77, 78), bank, 400);
  testing::expect_identical(alone.rows, all.rows.slice(77, 78));
  testing::expect_identical(alone.similarities, all.similarities.slice(77, 78));
  if (device() != kCpu) return;
  const int threads = num_threads();
  for (const int count : {1, 2, 3, 7}) {
    set_num_threads(count);
    const TopSimilar again = top_similar(queries, bank, 400);
    testing::expect_identical(again.rows, all.rows);
    testing::expect_identical(again.similarities, all.similarities);
  }
  set_num_threads(threads);
}

// The CPU refuses; a GPU, which the host does not wait for, marks the query.
TEST_P(TopSimilarCaseTest, RefusesNaNUnlessEnoughIsLeft) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> queries(6, 1.0F);
  std::vector<float> bank(20, 1.0F);
  bank[7] = nan;  // row 3
  const auto search = [&](std::int64_t count) {
    return top_similar(Tensor::from(queries, {3, 2}, device()),
                       Tensor::from(bank, {10, 2}, device()), count);
  };
  const std::vector<std::int32_t> all_but_one{0, 1, 2, 4, 5, 6, 7, 8, 9};
  EXPECT_EQ(row_of(search(9).rows, 0), all_but_one);
  if (device() == kCpu) {
    EXPECT_THROW(search(10), Error);
    queries[2] = nan;  // query 1
    EXPECT_THROW(search(1), Error);
    return;
  }
  EXPECT_EQ(row_of(search(10).rows, 0), std::vector<std::int32_t>(10, -1));
  queries[2] = nan;
  const TopSimilar top = search(9);
  EXPECT_EQ(row_of(top.rows, 0), all_but_one);
  EXPECT_EQ(row_of(top.rows, 1), std::vector<std::int32_t>(9, -1));
  EXPECT_EQ(row_of(top.rows, 2), all_but_one);
  const Values similarities = testing::values_of(top.similarities);
  for (std::size_t c = 0; c < 27; ++c) EXPECT_EQ(std::isnan(similarities[c]), c / 9 == 1);
}

#ifdef INVP_CUDA

// Thresholds far too high and far too low, and lists without room: only the way to the answer
// changes.
TEST(TopSimilarPlan, NeverChangesTheAnswer) {
  const std::vector<Device> devices = testing::available_devices();
  if (devices.size() < 2) GTEST_SKIP() << "no GPU";
  constexpr std::int64_t kBatch = 5, kDim = 10, kRows = 3001;
  for (const std::int64_t count : {std::int64_t{1}, std::int64_t{300}, kRows}) {
    const Tensor queries = testing::tensor(integers(1, kBatch * kDim, 9), {kBatch, kDim});
    const Tensor bank = testing::tensor(integers(2, kRows * kDim, 9), {kRows, kDim});
    const TopSimilar want = top_similar(queries, bank, count);
    for (const cuda::SearchPlan& plan : std::vector<cuda::SearchPlan>{
             {.stride = 10, .samples = 300, .rank = 1, .capacity = 3001},
             {.stride = 10, .samples = 300, .rank = 299, .capacity = count},
             {.stride = 1, .samples = 3001, .rank = count, .capacity = count},
             {.stride = 3000, .samples = 1, .rank = 1, .capacity = std::max(count, kRows / 2)},
             {.capacity = count},
             {.capacity = 3001}}) {
      SCOPED_TRACE(message("best ", count, ", rank ", plan.rank, " of ", plan.samples,
                           ", room for ", plan.capacity));
      const Tensor rows = Tensor::empty(want.rows.shape(), DType::kI32, devices[1]);
      const Tensor similarities = Tensor::empty(want.rows.shape(), DType::kF32, devices[1]);
      cuda::top_similar(queries.to(devices[1]), bank.to(devices[1]), plan, rows, similarities);
      testing::expect_identical(rows, want.rows);
      testing::expect_identical(similarities, want.similarities);
    }
  }
}

TEST(TopSimilarPlan, HasRoomForTheAnswerAndLittleMore) {
  for (const std::int64_t rows : {1, 100, 8191, 8192, 50000, 1281167, 20000000}) {
    for (const std::int64_t count : {1, 5, 200, 4096, 50000, 10000000}) {
      if (count > rows) continue;
      const cuda::SearchPlan plan = cuda::plan_search(rows, count);
      SCOPED_TRACE(message("best ", count, " of ", rows));
      EXPECT_GE(plan.capacity, count);
      EXPECT_LE(plan.capacity, rows);
      EXPECT_LE(plan.samples * plan.stride, rows);
      EXPECT_LE(plan.rank, plan.samples);
      EXPECT_TRUE(plan.rank > 0 || plan.capacity == rows);
    }
  }
  const cuda::SearchPlan imagenet = cuda::plan_search(1281167, 4096);
  EXPECT_NEAR(static_cast<double>(imagenet.rank * imagenet.stride), 1.6 * 4096, 0.1 * 4096);
  EXPECT_LT(imagenet.capacity, 11000);
}

#endif

TEST_P(TopSimilarCaseTest, RefusesWhatDoesNotFit) {
  const auto zeros = [](const Shape& shape, DType dtype = DType::kF32) {
    return Tensor::zeros(shape, dtype, device());
  };
  const Tensor queries = zeros({2, 4});
  const Tensor bank = zeros({5, 4});
  EXPECT_THROW(top_similar(queries, zeros({5, 3}), 2), Error);
  EXPECT_THROW(top_similar(queries, zeros({0, 4}), 2), Error);
  EXPECT_THROW(top_similar(queries, zeros({5, 4}, DType::kI32), 2), Error);
  EXPECT_THROW(top_similar(zeros({4}), bank, 2), Error);
  EXPECT_THROW(top_similar(queries, bank, 0), Error);
}

}  // namespace
}  // namespace invp
