#include "engine/ops/detection/top_scores.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "tests/engine/ops/detection/golden_ops.h"
#include "tests/support/devices.h"

namespace invp::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TopScoresTest : public DeviceTest {};
RUN_ON_EACH_DEVICE(TopScoresTest);

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<std::int64_t> reference(const Values& scores, std::size_t k) {
  std::vector<std::int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  const auto score = [&](std::int64_t i) { return scores[static_cast<std::size_t>(i)]; };
  std::erase_if(order, [&](std::int64_t i) { return std::isnan(score(i)); });
  std::ranges::stable_sort(order,
                           [&](std::int64_t a, std::int64_t b) { return score(a) > score(b); });
  order.resize(k, -1);
  return order;
}

TEST_P(TopScoresTest, TakesTheBestByScoreThenIndex) {
  const Tensor scores = tensor({1, 3, kNan, 3, -kInfinity, kInfinity, -0.0, 0}, {1, 8}, device());
  EXPECT_THAT(integers_of(top_scores(scores, 4)), ElementsAre(5, 1, 3, 0));
  EXPECT_THAT(integers_of(top_scores(scores, 9)), ElementsAre(5, 1, 3, 0, 6, 7, 4, -1, -1));
  EXPECT_EQ(top_scores(scores, 0).shape(), (Shape{1, 0}));
}

TEST_P(TopScoresTest, MatchesAStableSortOfEachRow) {
  for (const std::int64_t n : {1, 63, 700, 1500}) {
    Values all;
    for (int row = 0; row < 3; ++row) {
      Values scores = random_values(static_cast<std::uint64_t>(n + row), n);
      // Ties, also at the border; row 2 is all equal.
      for (double& score : scores) score = row == 2 ? 1 : std::round(score * 16) / 16;
      if (n > 60) scores[7] = scores[50] = kNan;
      all.insert(all.end(), scores.begin(), scores.end());
    }
    for (const std::int64_t k : {std::int64_t{1}, n / 2 + 1, n, n + 5}) {
      const std::vector<std::int64_t> got =
          integers_of(top_scores(tensor(all, {3, n}, device()), k));
      for (std::int64_t row = 0; row < 3; ++row) {
        const Values scores(all.begin() + row * n, all.begin() + (row + 1) * n);
        const std::vector<std::int64_t> of_row(got.begin() + row * k, got.begin() + (row + 1) * k);
        EXPECT_EQ(of_row, reference(scores, static_cast<std::size_t>(k))) << n << ' ' << k;
      }
    }
  }
}

TEST_P(TopScoresTest, HasNothingToTakeFromNothing) {
  EXPECT_THAT(integers_of(top_scores(Tensor::empty({1, 0}, DType::kF32, device()), 2)),
              ElementsAre(-1, -1));
  EXPECT_EQ(top_scores(Tensor::empty({0, 4}, DType::kF32, device()), 2).shape(), (Shape{0, 2}));
}

TEST(TopScores, RefuseOtherShapes) {
  EXPECT_THAT(error_of([] { top_scores(Tensor::zeros({4}), 1); }),
              HasSubstr("scores must be f32 of shape (B, n)"));
  EXPECT_THAT(error_of([] { top_scores(Tensor::zeros({1, 4}), -1); }), HasSubstr("cannot take -1"));
}

}  // namespace
}  // namespace invp::testing
