// Purity against a count that walks the graph and sorts similarities by itself.
#include "invp/method/purity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "engine/core/random.h"
#include "tests/support/devices.h"

namespace invp {
namespace {

constexpr std::int64_t kImages = 60;
constexpr std::int64_t kDim = 8;
constexpr std::int64_t kNeighbors = 3;

struct Case {
  std::vector<float> bank;
  std::vector<std::int32_t> graph;
  std::vector<std::int64_t> labels;

  Case() {
    Random random(7, Purpose::kBank, 0, 0);
    for (std::int64_t i = 0; i < kImages * kDim; ++i)
      bank.push_back(static_cast<float>(random.uniform(-1, 1)));
    for (std::int64_t i = 0; i < kImages * kNeighbors; ++i) {
      const auto row = static_cast<std::int32_t>(random.uniform() * kImages);
      graph.push_back(i / kNeighbors % 11 == 3 ? -1 : row);  // some images were never visited
    }
    for (std::int64_t i = 0; i < kImages; ++i)
      labels.push_back(i % 13 == 5 ? -1 : static_cast<std::int64_t>(random.uniform() * 3));
  }

  double similarity(std::int32_t a, std::int32_t b) const {
    double sum = 0;
    for (std::int64_t d = 0; d < kDim; ++d)
      sum += static_cast<double>(bank[a * kDim + d]) * bank[b * kDim + d];
    return sum;
  }
  std::vector<std::int32_t> neighbors(std::int32_t row) const {
    std::vector<std::int32_t> found;
    for (std::int64_t k = 0; k < kNeighbors; ++k) {
      const std::int32_t next = graph[row * kNeighbors + k];
      if (next >= 0) found.push_back(next);
    }
    return found;
  }
  /// Every walk of 1 to `steps` edges by where it ends.
  std::vector<std::int32_t> ends_of_walks(std::int32_t from, int steps) const {
    std::vector<std::int32_t> all;
    std::vector<std::int32_t> level{from};
    for (int step = 0; step < steps; ++step) {
      std::vector<std::int32_t> next;
      for (const std::int32_t row : level) {
        for (const std::int32_t to : neighbors(row)) next.push_back(to);
      }
      all.insert(all.end(), next.begin(), next.end());
      level = next;
    }
    return all;
  }

  Purity naive(const ObjectiveConfig& config, const std::vector<std::int32_t>& anchors) const {
    double pairs = 0, same = 0, hard_pairs = 0, hard_same = 0;
    for (const std::int32_t anchor : anchors) {
      std::vector<std::int32_t> members = ends_of_walks(anchor, config.steps);
      if (config.form == ContrastForm::kPaper) {
        std::set<std::int32_t> distinct(members.begin(), members.end());
        distinct.erase(anchor);
        members.assign(distinct.begin(), distinct.end());
      }
      std::vector<std::int32_t> hardest = members;
      std::stable_sort(hardest.begin(), hardest.end(), [&](std::int32_t a, std::int32_t b) {
        return similarity(anchor, a) < similarity(anchor, b);
      });
      hardest.resize(std::min<std::size_t>(hardest.size(), config.hard_positives));
      const auto tally = [&](const std::vector<std::int32_t>& list, double& n, double& right) {
        for (const std::int32_t member : list) {
          if (member == anchor || labels[member] < 0) continue;
          ++n;
          if (labels[member] == labels[anchor]) ++right;
        }
      };
      tally(members, pairs, same);
      tally(hardest, hard_pairs, hard_same);
    }
    return {.positives = 100 * same / pairs, .hard_positives = 100 * hard_same / hard_pairs};
  }
};

class PurityTest : public testing::DeviceTest {
 protected:
  std::optional<Purity> measured(const ObjectiveConfig& config, std::int64_t most = 4096) const {
    return positive_purity(MemoryBank(Tensor::from(data.bank, {kImages, kDim}, device())),
                           NeighborGraph(Tensor::from(data.graph, {kImages, kNeighbors}, device())),
                           config, data.labels, most);
  }
  std::vector<std::int32_t> labelled(const std::vector<std::int32_t>& rows) const {
    std::vector<std::int32_t> kept;
    for (const std::int32_t row : rows) {
      if (data.labels[row] >= 0) kept.push_back(row);
    }
    return kept;
  }
  static std::vector<std::int32_t> everybody() {
    std::vector<std::int32_t> rows(kImages);
    for (std::int32_t i = 0; i < kImages; ++i) rows[i] = i;
    return rows;
  }

  Case data;
};
RUN_ON_EACH_DEVICE(PurityTest);

TEST_P(PurityTest, CountsAsANaiveCountDoes) {
  for (const ContrastForm form : {ContrastForm::kPaper, ContrastForm::kReleased}) {
    const ObjectiveConfig config{
        .form = form, .neighbors = kNeighbors, .steps = 3, .hard_positives = 5};
    const auto purity = measured(config);
    ASSERT_TRUE(purity.has_value());
    const Purity want = data.naive(config, labelled(everybody()));
    EXPECT_DOUBLE_EQ(purity->positives, want.positives);
    EXPECT_DOUBLE_EQ(purity->hard_positives, want.hard_positives);
    EXPECT_NE(purity->positives, purity->hard_positives);
  }
}

TEST_P(PurityTest, ManyImagesAreSpreadOverEvenly) {
  const ObjectiveConfig config{.neighbors = kNeighbors, .steps = 2, .hard_positives = 4};
  const auto purity = measured(config, 7);
  ASSERT_TRUE(purity.has_value());
  const Purity want = data.naive(config, labelled({0, 8, 17, 25, 34, 42, 51}));
  EXPECT_DOUBLE_EQ(purity->positives, want.positives);
  EXPECT_DOUBLE_EQ(purity->hard_positives, want.hard_positives);
}

TEST_P(PurityTest, SaysNothingWhereThereIsNothingToSay) {
  const ObjectiveConfig config{.neighbors = kNeighbors};
  data.labels.assign(kImages, 2);
  EXPECT_FALSE(measured(config).has_value());  // one class: 100 % would be no news
  data.labels.assign(kImages, -1);
  EXPECT_FALSE(measured(config).has_value());
  data = {};
  data.graph.assign(kImages * kNeighbors, -1);
  EXPECT_FALSE(measured(config).has_value());
  data.labels.pop_back();
  EXPECT_THROW(measured(config), Error);
}

}  // namespace
}  // namespace invp
