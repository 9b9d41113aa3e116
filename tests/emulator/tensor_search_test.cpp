// The two halves of the bank search on tensor cores, each by itself: in the search a mistake that
// loses rows is mended by a search without them, and only costs time.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "engine/core/random.h"
#include "engine/ops/search/top_similar_cuda.cuh"
#include "tests/support/values.h"

namespace invp::cuda {
namespace {

using testing::Values;
using testing::values_of;

constexpr Device kGpu{DeviceType::kCuda, 0};
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

Values normals(std::uint64_t seed, std::int64_t count) {
  Random random(seed, Purpose::kSynthetic);
  Values values(static_cast<std::size_t>(count));
  for (double& value : values) value = static_cast<float>(random.normal());
  return values;
}

/// Candidates of each query, by row.
using Lists = std::vector<std::map<std::int32_t, float>>;

/// Lists with the memory they are in.
struct OwnedLists {
  Tensor candidates, found;
  CandidateLists lists;

  OwnedLists(std::int64_t batch, std::int64_t capacity)
      : candidates(Tensor::empty({batch, capacity, sizeof(Candidate)}, DType::kU8, kGpu)),
        found(Tensor::zeros({batch}, DType::kI32, kGpu)),
        lists{static_cast<Candidate*>(candidates.raw()), found.data<int>(),
              static_cast<int>(capacity)} {}

  Lists read() const {
    Lists all;
    for (std::int64_t q = 0; q < found.dim(0); ++q) {
      all.emplace_back();
      for (int i = 0; i < std::min(lists.found[q], lists.capacity); ++i) {
        const Candidate& candidate = lists.of(q)[i];
        EXPECT_TRUE(all.back().emplace(candidate.row, candidate.similarity).second)
            << "row " << candidate.row << " twice";
      }
    }
    return all;
  }
};

/// One search's queries, bank and cuts, and what becomes of them.
struct Case {
  Values queries, bank;
  std::int64_t dim;
  Tensor gpu_queries, gpu_bank;
  std::vector<std::vector<float>> exact;  ///< [query][row]
  std::vector<Cut> cuts, left_over;
  Tensor slack = {};
  Tensor longest = Tensor::zeros({1}, DType::kI32, kGpu);

  Case(Values queries_, Values bank_, std::int64_t dim_, DType dtype)
      : queries(std::move(queries_)), bank(std::move(bank_)), dim(dim_) {
    gpu_queries = testing::tensor(queries, {batch(), dim}, kGpu);
    gpu_bank = testing::tensor(bank, {rows(), dim}, kGpu, dtype);
    bank = values_of(gpu_bank);
    slack = Tensor::empty({batch()}, DType::kF32, kGpu);
    for (std::int64_t q = 0; q < batch(); ++q) {
      exact.emplace_back();
      for (std::int64_t row = 0; row < rows(); ++row) exact.back().push_back(similarity(q, row));
    }
  }

  std::int64_t batch() const { return std::ssize(queries) / dim; }
  std::int64_t rows() const { return std::ssize(bank) / dim; }

  float similarity(std::int64_t q, std::int64_t row) const {
    float sum = 0;
    for (std::int64_t k = 0; k < dim; ++k) {
      sum = std::fma(static_cast<float>(queries[static_cast<std::size_t>(q * dim + k)]),
                     static_cast<float>(bank[static_cast<std::size_t>(row * dim + k)]), sum);
    }
    return sum;
  }

  double norm(std::int64_t row) const {
    double squares = 0;
    for (std::int64_t k = 0; k < dim; ++k) {
      squares += std::pow(bank[static_cast<std::size_t>(row * dim + k)], 2);
    }
    return std::sqrt(squares);
  }

  /// Where exactly `rank` rows of each query pass, if none are equal.
  void cut_at_rank(std::int64_t rank) {
    cuts.clear();
    for (std::vector<float> all : exact) {
      std::erase_if(all, [](float s) { return std::isnan(s); });
      std::ranges::sort(all, std::greater<>());
      cuts.push_back({all[static_cast<std::size_t>(rank - 1)], kAnyRow});
    }
  }

  CollectedRows collect(const OwnedLists& into) {
    EXPECT_TRUE(fits_tensor_cores(gpu_queries, gpu_bank));
    const CollectedRows collected{into.lists, slack.data<float>(), longest.data<int>()};
    collect_rows(gpu_queries, gpu_bank, cuts.data(), collected);
    return collected;
  }

  float widest(std::int64_t q) const {
    return 2 * slack.data<float>()[q] *
           std::bit_cast<float>(static_cast<unsigned>(*longest.data<int>()));
  }
};

/// Everything that passes is collected, with true bounds, and nothing far from passing is.
void expect_true_bounds(Case& test) {
  const OwnedLists storage(test.batch(), test.rows());
  test.collect(storage);
  const Lists lists = storage.read();
  for (std::int64_t q = 0; q < test.batch(); ++q) {
    const auto at = static_cast<std::size_t>(q);
    const float cut = test.cuts[at].similarity;
    const double slack = test.slack.data<float>()[q];
    for (std::int32_t row = 0; row < test.rows(); ++row) {
      const float exact = test.exact[at][static_cast<std::size_t>(row)];
      const auto found = lists[at].find(row);
      if (found == lists[at].end()) {
        EXPECT_LT(exact, cut) << "query " << q << ", row " << row << " is missing";
        EXPECT_FALSE(std::isnan(exact));
        continue;
      }
      const double norm = test.norm(row);
      const bool huge = !(norm < std::ldexp(1.0, 60));
      EXPECT_FALSE(exact < cut - 2.001 * slack * (norm + 1e-12) && !huge) << exact << ' ' << cut;
      if (std::isnan(exact)) continue;
      EXPECT_FALSE(exact < found->second) << "query " << q << ", row " << row;
      EXPECT_FALSE(exact > found->second + test.widest(q)) << "query " << q << ", row " << row;
    }
  }
}

class TensorSearchTest : public ::testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(Dtypes, TensorSearchTest, ::testing::Values(DType::kF32, DType::kBF16),
                         [](const auto& dtype) {
                           return std::string(dtype.param == DType::kF32 ? "f32" : "bf16");
                         });

TEST_P(TensorSearchTest, CollectsAllThatPasses) {
  struct Size {
    std::int64_t batch, dim, rows, rank;
  };
  for (const auto& [batch, dim, rows, rank] :
       {Size{1, 8, 1, 1}, Size{3, 16, 300, 7}, Size{65, 40, 520, 100}, Size{130, 128, 1100, 20},
        Size{2, 136, 700, 30}, Size{70, 200, 257, 257}, Size{5, 256, 1030, 3}}) {
    SCOPED_TRACE(message(batch, " queries, ", dim, " columns, ", rows, " rows, rank ", rank));
    Case test(normals(1, batch * dim), normals(2, rows * dim), dim, GetParam());
    test.cut_at_rank(rank);
    expect_true_bounds(test);
  }
}

/// Rows whose similarities to the one query lie 2^-20 apart, which TF32 cannot tell.
Case near_ties(DType dtype, std::int64_t rows, std::int64_t dim) {
  Values query = normals(3, dim);
  double squares = 0;
  for (const double q : query) squares += q * q;
  Values bank = normals(4, rows * dim);
  for (std::int64_t row = 0; row < rows; ++row) {
    double dot = 0;
    for (std::int64_t k = 0; k < dim; ++k) {
      dot += query[static_cast<std::size_t>(k)] * bank[static_cast<std::size_t>(row * dim + k)];
    }
    const double wanted = std::ldexp(static_cast<double>(row * 7919 % rows), -20);
    for (std::int64_t k = 0; k < dim; ++k) {
      bank[static_cast<std::size_t>(row * dim + k)] +=
          (wanted - dot) / squares * query[static_cast<std::size_t>(k)];
    }
  }
  return {query, bank, dim, dtype};
}

// The data is such that both the bound and the second look are needed, and that is checked too.
TEST_P(TensorSearchTest, TellsNearTiesApart) {
  constexpr std::int64_t kRows = 900, kDim = 64, kCount = 300;
  Case test = near_ties(GetParam(), kRows, kDim);
  test.cut_at_rank(400);
  expect_true_bounds(test);

  const OwnedLists rough(1, kRows);
  *test.longest.data<int>() = 0;
  const CollectedRows collected = test.collect(rough);
  const Lists rough_lists = rough.read();
  const float sampled = test.cuts[0].similarity;
  int lost = 0;
  int wrong = 0;
  for (const auto& [row, lower] : rough_lists[0]) {
    const bool passes = test.exact[0][static_cast<std::size_t>(row)] >= sampled;
    const bool seems_to = lower + test.slack.data<float>()[0] * test.norm(row) >= sampled;
    lost += passes && !seems_to ? 1 : 0;
    wrong += !passes && seems_to ? 1 : 0;
  }
  if (GetParam() == DType::kF32) {  // bf16 rows do not keep so close together
    EXPECT_GT(lost, 5);
    EXPECT_GT(wrong, 5);
  }

  const OwnedLists best(1, kRows);
  test.left_over.resize(1);
  rescore_rows(test.gpu_queries, test.gpu_bank, kCount, collected, test.cuts.data(), best.lists,
               test.left_over.data());
  const Lists best_lists = best.read();
  EXPECT_GE(test.cuts[0].similarity, sampled);
  EXPECT_TRUE(std::isnan(test.left_over[0].similarity));
  EXPECT_GE(best_lists[0].size(), kCount);
  for (std::int32_t row = 0; row < kRows; ++row) {
    const float exact = test.exact[0][static_cast<std::size_t>(row)];
    const auto found = best_lists[0].find(row);
    ASSERT_EQ(found != best_lists[0].end(), exact >= test.cuts[0].similarity) << "row " << row;
    if (found == best_lists[0].end()) continue;
    EXPECT_EQ(found->second, exact);
  }
}

TEST_P(TensorSearchTest, RescoresNoMoreThanItMust) {
  constexpr std::int64_t kBatch = 3, kDim = 72, kRows = 2000, kCount = 50;
  Case test(normals(5, kBatch * kDim), normals(6, kRows * kDim), kDim, GetParam());
  test.cut_at_rank(400);
  const OwnedLists rough(kBatch, kRows);
  const OwnedLists best(kBatch, kRows);
  const CollectedRows collected = test.collect(rough);
  test.left_over.resize(kBatch);
  rescore_rows(test.gpu_queries, test.gpu_bank, kCount, collected, test.cuts.data(), best.lists,
               test.left_over.data());
  for (const auto& list : best.read()) {
    EXPECT_GE(list.size(), kCount);
    EXPECT_LE(list.size(), kCount + 5);
  }
}

TEST_P(TensorSearchTest, LeavesToOthersWhatItCannotAnswer) {
  constexpr std::int64_t kBatch = 3, kDim = 16, kRows = 500, kCount = 50, kRoom = 60;
  Case test(normals(5, kBatch * kDim), normals(6, kRows * kDim), kDim, GetParam());
  test.cut_at_rank(kCount);
  test.cuts[0].similarity = kInfinity;   // too few pass
  test.cuts[1].similarity = -kInfinity;  // too many
  const Cut loose = test.cuts[1];
  const OwnedLists rough(kBatch, kRoom);
  const OwnedLists best(kBatch, kRows);
  const CollectedRows collected = test.collect(rough);
  EXPECT_EQ(rough.lists.found[0], 0);
  EXPECT_EQ(rough.lists.found[1], kRows);
  test.left_over.resize(kBatch);
  rescore_rows(test.gpu_queries, test.gpu_bank, kCount, collected, test.cuts.data(), best.lists,
               test.left_over.data());
  EXPECT_EQ(best.lists.found[0], 0);
  EXPECT_EQ(best.lists.found[1], 0);
  EXPECT_GE(best.lists.found[2], kCount);
  EXPECT_TRUE(std::isnan(test.left_over[0].similarity));
  EXPECT_EQ(test.left_over[1].similarity, loose.similarity);
  EXPECT_TRUE(std::isnan(test.left_over[2].similarity));
}

// Rows of very different lengths, and numbers with which sums overflow, vanish or are none.
TEST_P(TensorSearchTest, BoundsWhateverNumbersThereAre) {
  constexpr std::int64_t kBatch = 9, kDim = 24, kRows = 600;
  Values queries = normals(7, kBatch * kDim);
  Values bank = normals(8, kRows * kDim);
  const auto scale = [](Values& values, std::int64_t row, double by) {
    for (std::int64_t k = 0; k < kDim; ++k) {
      double& value = values[static_cast<std::size_t>(row * kDim + k)];
      value = static_cast<float>(value * by);
    }
  };
  for (std::int64_t row = 0; row < kRows; ++row) {
    scale(bank, row, std::ldexp(1.0, static_cast<int>(row % 30) - 15));
  }
  scale(bank, 17, 1e38);
  scale(bank, 18, 1e-42);
  scale(bank, 19, 0);
  scale(bank, 20, -1e25);
  bank[21 * kDim + 3] = kNaN;
  bank[22 * kDim + 5] = kInfinity;
  bank[23 * kDim + 7] = -kInfinity;
  scale(queries, 1, 1e38);
  scale(queries, 2, 1e-38);
  scale(queries, 3, 0);
  queries[4 * kDim] = kNaN;
  queries[5 * kDim] = kInfinity;
  scale(queries, 6, 1e15);
  scale(queries, 7, 1e-43);
  Case test(queries, bank, kDim, GetParam());
  for (std::int64_t q = 0; q < kBatch; ++q) {
    std::vector<float> all = test.exact[static_cast<std::size_t>(q)];
    std::erase_if(all, [](float s) { return std::isnan(s); });
    std::ranges::sort(all, std::greater<>());
    test.cuts.push_back({all.empty() ? 0.0F : all[all.size() / 5], kAnyRow});
  }
  expect_true_bounds(test);
}

}  // namespace
}  // namespace invp::cuda
