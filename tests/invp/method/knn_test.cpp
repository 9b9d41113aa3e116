#include "invp/method/knn.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/support/devices.h"

namespace invp {
namespace {

using testing::Values;
using Labels = std::vector<std::int64_t>;

struct Problem {
  std::int64_t dim;
  Values bank;
  Labels labels;
  Values queries;
  Labels query_labels;
};

/// Points around one centre a class.
Problem make_problem(std::int64_t dim, std::int64_t rows, std::int64_t queries,
                     std::int64_t classes) {
  Random random(8, Purpose::kSynthetic);
  Problem problem{.dim = dim, .bank = {}, .labels = {}, .queries = {}, .query_labels = {}};
  const Values centres = testing::random_values(9, classes * dim);
  const auto draw = [&](std::int64_t count, Values& points, Labels& labels) {
    for (std::int64_t i = 0; i < count; ++i) {
      labels.push_back(random.integer(0, classes - 1));
      Values point;
      for (std::int64_t k = 0; k < dim; ++k) {
        point.push_back(centres[static_cast<std::size_t>(labels.back() * dim + k)] +
                        2 * random.normal());
      }
      const double length =
          std::sqrt(std::inner_product(point.begin(), point.end(), point.begin(), 0.0));
      for (const double value : point) points.push_back(static_cast<float>(value / length));
    }
  };
  draw(rows, problem.bank, problem.labels);
  draw(queries, problem.queries, problem.query_labels);
  return problem;
}

KnnAccuracy slow_knn(const Problem& problem, std::int64_t k, double tau, std::int64_t classes) {
  KnnAccuracy accuracy;
  const auto rows = problem.labels.size();
  const double share = 100.0 / static_cast<double>(problem.query_labels.size());
  for (std::size_t q = 0; q < problem.query_labels.size(); ++q) {
    std::vector<std::pair<double, std::size_t>> order;
    for (std::size_t j = 0; j < rows; ++j) {
      const auto query = problem.queries.begin() + static_cast<std::int64_t>(q) * problem.dim;
      order.emplace_back(
          -std::inner_product(query, query + problem.dim,
                              problem.bank.begin() + static_cast<std::int64_t>(j) * problem.dim,
                              0.0),
          j);
    }
    std::ranges::sort(order);
    Values score(static_cast<std::size_t>(classes));
    for (std::size_t j = 0; j < std::min(rows, static_cast<std::size_t>(k)); ++j) {
      score[static_cast<std::size_t>(problem.labels[order[j].second])] +=
          std::exp(-order[j].first / tau);
    }
    Labels ranked(static_cast<std::size_t>(classes));
    std::iota(ranked.begin(), ranked.end(), 0);
    std::ranges::stable_sort(ranked, std::greater<>(),
                             [&](std::int64_t c) { return score[static_cast<std::size_t>(c)]; });
    const auto rank = std::ranges::find(ranked, problem.query_labels[q]) - ranked.begin();
    accuracy.top1 += rank < 1 ? share : 0;
    accuracy.top5 += rank < 5 ? share : 0;
  }
  return accuracy;
}

class KnnTest : public testing::DeviceTest {};
RUN_ON_EACH_DEVICE(KnnTest);

TEST_P(KnnTest, EqualsTheSlowOneForSeveralTemperatures) {
  const std::int64_t queries = device() == kCpu ? 700 : 40;  // emulated GPUs are slow
  const Problem problem = make_problem(12, 900, queries, 17);
  for (const std::int64_t k : {1, 20, 200, 5000}) {
    const KnnConfig config{.k = k, .taus = {0.07, 0.5}};
    const std::vector<KnnAccuracy> accuracy = knn_classify(
        testing::tensor(problem.queries, {queries, 12}), problem.query_labels,
        MemoryBank(testing::tensor(problem.bank, {900, 12}, device())), problem.labels, config);
    ASSERT_EQ(accuracy.size(), 2u);
    for (std::size_t t = 0; t < 2; ++t) {
      const KnnAccuracy want = slow_knn(problem, k, config.taus[t], 17);
      EXPECT_NEAR(accuracy[t].top1, want.top1, 1e-9);
      EXPECT_NEAR(accuracy[t].top5, want.top5, 1e-9);
      EXPECT_GT(want.top5, want.top1);
      EXPECT_LT(want.top1, 100);
    }
  }
}

// One search for the largest k, and the same figures as a search for each; ties at the border go to
// the lower row in both.
TEST_P(KnnTest, SeveralKAtOnceEqualOneAfterTheOther) {
  const std::int64_t queries = device() == kCpu ? 600 : 30;
  const Problem problem = make_problem(3, 500, queries, 11);
  Values bank = problem.bank;
  std::copy_n(bank.begin(), 300, bank.begin() + 900);  // a hundred rows twice
  const MemoryBank rows(testing::tensor(bank, {500, 3}, device()));
  const Tensor asked = testing::tensor(problem.queries, {queries, 3});
  const Labels ks{7, 1, 60, 1000};
  KnnConfig config{.taus = {0.07, 0.3}};
  const auto each =
      knn_classify_each(asked, problem.query_labels, rows, problem.labels, ks, config);
  ASSERT_EQ(each.size(), ks.size());
  for (std::size_t i = 0; i < ks.size(); ++i) {
    config.k = ks[i];
    const auto one = knn_classify(asked, problem.query_labels, rows, problem.labels, config);
    for (std::size_t t = 0; t < 2; ++t) {
      EXPECT_EQ(each[i][t].top1, one[t].top1) << ks[i];
      EXPECT_EQ(each[i][t].top5, one[t].top5) << ks[i];
    }
  }
  EXPECT_NE(each[0][0].top1, each[2][0].top1);
  const auto refused = [&](const Labels& wrong) {
    knn_classify_each(asked, problem.query_labels, rows, problem.labels, wrong, config);
  };
  EXPECT_THROW(refused({}), Error);
  EXPECT_THROW(refused({5, 0}), Error);
}

TEST_P(KnnTest, ScoresAreVotesRelativeToTheNearest) {
  const MemoryBank bank(testing::tensor({1, 0.5, 0.25, -1}, {4, 1}, device()));
  const Tensor query = testing::tensor({1}, {1, 1});
  const Labels labels{2, 0, 2, 1};
  const Tensor scores = knn_scores(query, bank, labels, {.k = 3, .taus = {0.5}, .classes = 5});
  ASSERT_EQ(scores.shape(), (Shape{1, 1, 5}));
  const Values want{std::exp(-1.0), 0, 1 + std::exp(-1.5), 0, 0};
  for (std::size_t c = 0; c < 5; ++c) EXPECT_NEAR(scores.span<float>()[c], want[c], 1e-6);
}

TEST_P(KnnTest, EqualScoresGoToTheLowerClassAndEmptyClassesFillUp) {
  const MemoryBank bank(testing::tensor({1, 1, 1}, {3, 1}, device()));
  const Tensor query = testing::tensor({1}, {1, 1});
  const Labels labels{5, 3, 7};
  const auto right = [&](std::int64_t label) {
    const KnnAccuracy accuracy =
        knn_classify(query, Labels{label}, bank, labels, {.k = 3, .taus = {0.07}, .classes = 9})[0];
    return std::pair{accuracy.top1, accuracy.top5};
  };
  EXPECT_EQ(right(3), (std::pair{100.0, 100.0}));
  EXPECT_EQ(right(5), (std::pair{0.0, 100.0}));
  EXPECT_EQ(right(7), (std::pair{0.0, 100.0}));
  EXPECT_EQ(right(1), (std::pair{0.0, 100.0}));  // 3, 5, 7, then 0, 1
  EXPECT_EQ(right(2), (std::pair{0.0, 0.0}));
}

TEST_P(KnnTest, SurvivesAnExtremeTemperature) {
  const MemoryBank bank(testing::tensor({1, 0.5}, {2, 1}, device()));
  const KnnAccuracy accuracy = knn_classify(testing::tensor({1}, {1, 1}), Labels{1}, bank,
                                            Labels{1, 0}, {.k = 2, .taus = {1e-4}})[0];
  EXPECT_EQ(accuracy.top1, 100);
}

TEST_P(KnnTest, RefusesNaN) {
  const MemoryBank bank(testing::tensor({1, std::nan("")}, {2, 1}, device()));
  const auto run = [&] {
    knn_classify(testing::tensor({1}, {1, 1}), Labels{1}, bank, Labels{1, 0}, {.k = 2});
  };
  EXPECT_THROW(run(), Error);
}

TEST_P(KnnTest, RefusesWhatDoesNotFit) {
  const MemoryBank bank(Tensor::zeros({2, 1}, DType::kF32, device()));
  const Tensor query = Tensor::zeros({1, 1});
  const auto run = [&](const Labels& query_labels, const Labels& labels, const KnnConfig& config) {
    knn_classify(query, query_labels, bank, labels, config);
  };
  EXPECT_NO_THROW(run({0}, {0, 1}, {}));
  EXPECT_THROW(run({0, 1}, {0, 1}, {}), Error);
  EXPECT_THROW(run({}, {0, 1}, {}), Error);
  EXPECT_THROW(run({0}, {0}, {}), Error);
  EXPECT_THROW(run({0}, {}, {}), Error);
  EXPECT_THROW(run({0}, {0, -1}, {}), Error);
  EXPECT_THROW(run({0}, {0, 5}, {.classes = 3}), Error);
  EXPECT_THROW(run({2}, {0, 1}, {}), Error);
  EXPECT_THROW(run({0}, {0, 1}, {.k = 0}), Error);
  EXPECT_THROW(run({0}, {0, 1}, {.taus = {0.0}}), Error);
  EXPECT_THROW(run({0}, {0, 1}, {.taus = {}}), Error);
}

}  // namespace
}  // namespace invp
