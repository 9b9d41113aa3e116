#include "invp/tsne/tsne.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/core/parallel.h"
#include "engine/core/random.h"
#include "engine/files/safetensors.h"
#include "invp/tsne/principal_components.h"
#include "tests/support/close.h"

namespace invp {

/// For the names of tests.
static void PrintTo(TsneMethod method, std::ostream* out) {
  constexpr std::array kNames = {"auto", "exact", "all_pairs", "barnes_hut", "interpolation"};
  *out << kNames.at(static_cast<std::size_t>(method));
}

namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

/// Clusters on a few axes, `dim` wide.
Tensor clusters(std::int64_t n, std::int64_t dim, std::int64_t classes, std::uint64_t seed = 1) {
  const Tensor features = Tensor::empty({n, dim});
  Random random(seed, Purpose::kSynthetic);
  std::vector<double> centres;
  for (std::int64_t i = 0; i < classes * dim; ++i) centres.push_back(4 * random.normal());
  for (std::int64_t i = 0; i < n * dim; ++i) {
    const std::int64_t label = i / dim % classes;
    features.data<float>()[i] = static_cast<float>(
        centres[static_cast<std::size_t>(label * dim + i % dim)] + random.normal());
  }
  return features;
}

std::vector<std::int64_t> round_robin(std::int64_t n, std::int64_t classes) {
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < n; ++i) labels.push_back(i % classes);
  return labels;
}

Points points_of(const Tensor& map) {
  Points points(map.dim(0));
  for (std::int64_t i = 0; i < map.dim(0); ++i) {
    points.x[static_cast<std::size_t>(i)] = map.data<float>()[2 * i];
    points.y[static_cast<std::size_t>(i)] = map.data<float>()[2 * i + 1];
  }
  return points;
}

const TensorFile& golden() {
  static const TensorFile kFile = read_safetensors(std::filesystem::path(INVP_SOURCE_DIR) /
                                                   "tests/golden/data/tsne.safetensors");
  return kFile;
}
const Tensor& golden(const char* name) {
  return *golden().find(name);
}

Affinities golden_affinities() {
  const Tensor data = prepare_features(golden("features"), 0);
  return joint_affinities(
      *nearest_rows(data, data.dim(0) - 1, [](std::int64_t, std::int64_t) { return true; }),
      golden("perplexity").item());
}

TEST(TsneGolden, JointProbabilitiesAreScikitLearns) {
  const Affinities affinities = golden_affinities();
  const std::int64_t n = affinities.size();
  ASSERT_EQ(n, golden("joint").dim(0));
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    ASSERT_EQ(affinities.begin[static_cast<std::size_t>(i + 1)] -
                  affinities.begin[static_cast<std::size_t>(i)],
              n - 1);
    for (std::int64_t e = affinities.begin[static_cast<std::size_t>(i)];
         e < affinities.begin[static_cast<std::size_t>(i + 1)]; ++e) {
      const float p = affinities.values[static_cast<std::size_t>(e)];
      const std::int32_t j = affinities.columns[static_cast<std::size_t>(e)];
      // Both stop their searches at an entropy within 1e-5.
      EXPECT_NEAR(p, golden("joint").data<float>()[i * n + j], 2e-7 + 2e-4 * p);
      sum += p;
    }
  }
  EXPECT_NEAR(sum, 1, 1e-5);
}

TEST(TsneGolden, DivergenceAndGradientAreScikitLearns) {
  const Affinities affinities = golden_affinities();
  const Points map = points_of(golden("map"));
  Points pull(map.size());
  Points push(map.size());
  attract(affinities, map, pull);
  const double z = all_pairs_repulsion()->sum(map, push);
  EXPECT_NEAR(kl_divergence(affinities, map, z), golden("kl").item(), 1e-4);
  EXPECT_EQ(z, all_pairs_normaliser(map));
  float largest = 0;
  for (const float value : golden("gradient").span<float>())
    largest = std::max(largest, std::abs(value));
  for (std::int64_t i = 0; i < map.size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    EXPECT_NEAR(pull.x[at] - push.x[at] / z, golden("gradient").data<float>()[2 * i],
                2e-4 * largest);
    EXPECT_NEAR(pull.y[at] - push.y[at] / z, golden("gradient").data<float>()[2 * i + 1],
                2e-4 * largest);
  }
}

// Rounding decides into which of several minima a map of so few points falls: the best of a few
// starts is as good as scikit-learn's, and none is much worse.
TEST(TsneGolden, TheDescentEndsWhereScikitLearnsDoes) {
  const double expected = golden("best_kl").item();
  double best = std::numeric_limits<double>::infinity();
  for (const std::uint64_t seed : {0, 1, 2, 3, 4}) {
    const TsneResult result = tsne(
        golden("features"),
        {.perplexity = golden("perplexity").item(), .method = TsneMethod::kExact, .seed = seed});
    EXPECT_EQ(result.iterations, 1000);
    EXPECT_LT(result.kl, 1.25 * expected);
    best = std::min(best, result.kl);
  }
  EXPECT_LT(best, 1.02 * expected);
}

// The definition, and a perplexity that holds: 2^entropy of each row.
TEST(Affinities, HaveThePerplexityAskedFor) {
  Random random(3, Purpose::kSynthetic);
  for (const double scale : {1e-6, 1.0, 1e4}) {
    for (const double perplexity : {2.0, 10.0, 30.0}) {
      std::vector<double> distances2(90);
      for (double& distance : distances2) distance = scale * random.uniform();
      std::vector<double> p(90);
      calibrate_row(distances2, perplexity, p);
      double entropy = 0;
      for (const double value : p) entropy -= value > 0 ? value * std::log(value) : 0;
      EXPECT_NEAR(entropy, std::log(perplexity), 2e-5) << scale;
      EXPECT_NEAR(std::accumulate(p.begin(), p.end(), 0.0), 1, 1e-12);
      // One beta for all: ln p is linear in the distance.
      const double beta = std::log(p[0] / p[1]) / (distances2[1] - distances2[0]);
      for (std::size_t j = 2; j < 90; ++j) {
        if (p[j] > 1e-200) {
          EXPECT_NEAR(std::log(p[0] / p[j]), beta * (distances2[j] - distances2[0]), 1e-6);
        }
      }
    }
  }
}

TEST(Affinities, EqualDistancesShareEvenly) {
  std::vector<double> p(30);
  for (const double distance2 : {0.0, 5.0}) {
    calibrate_row(std::vector<double>(30, distance2), 10, p);
    for (const double value : p) EXPECT_NEAR(value, 1.0 / 30, 1e-12);
  }
}

TEST(Affinities, NearestRowsAreThoseOfASort) {
  const std::int64_t n = 500;
  const std::int64_t k = 20;
  const Tensor data = clusters(n, 7, 9);
  const auto found = nearest_rows(data, k, [](std::int64_t, std::int64_t) { return true; });
  ASSERT_TRUE(found);
  for (std::int64_t i = 0; i < n; ++i) {
    std::vector<std::pair<double, std::int64_t>> order;
    for (std::int64_t j = 0; j < n; ++j) {
      double distance2 = 0;
      for (std::int64_t c = 0; c < 7; ++c) {
        const double difference =
            static_cast<double>(data.data<float>()[i * 7 + c]) - data.data<float>()[j * 7 + c];
        distance2 += difference * difference;
      }
      if (j != i) order.emplace_back(distance2, j);
    }
    std::ranges::sort(order);
    for (std::int64_t j = 0; j < k; ++j) {
      const auto at = static_cast<std::size_t>(i * k + j);
      const std::int64_t row = found->rows[at];
      EXPECT_NE(row, i);
      if (j > 0) {
        EXPECT_LT(found->rows[at - 1], row);
      }
      EXPECT_LE(found->distances2[at], order[static_cast<std::size_t>(k - 1)].first * (1 + 1e-5));
      const auto same = std::ranges::find(order, row, &std::pair<double, std::int64_t>::second);
      EXPECT_NEAR(found->distances2[at], same->first, 1e-9);
    }
  }
}

TEST(Affinities, AreSymmetricAndSumUpToOne) {
  const Tensor data = prepare_features(clusters(300, 5, 6), 0);
  const Affinities affinities = joint_affinities(
      *nearest_rows(data, 30, [](std::int64_t, std::int64_t) { return true; }), 10);
  const auto n = static_cast<std::size_t>(affinities.size());
  std::vector<float> dense(n * n);
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    for (auto e = static_cast<std::size_t>(affinities.begin[i]);
         e < static_cast<std::size_t>(affinities.begin[i + 1]); ++e) {
      dense[i * n + static_cast<std::size_t>(affinities.columns[e])] = affinities.values[e];
      sum += affinities.values[e];
      if (e > static_cast<std::size_t>(affinities.begin[i])) {
        EXPECT_LT(affinities.columns[e - 1], affinities.columns[e]);
      }
    }
    EXPECT_EQ(dense[i * n + i], 0);
  }
  EXPECT_NEAR(sum, 1, 1e-5);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < i; ++j) EXPECT_EQ(dense[i * n + j], dense[j * n + i]);
  }
}

class TsneMethods : public ::testing::TestWithParam<TsneMethod> {};
INSTANTIATE_TEST_SUITE_P(Each, TsneMethods,
                         ::testing::Values(TsneMethod::kExact, TsneMethod::kAllPairs,
                                           TsneMethod::kBarnesHut, TsneMethod::kInterpolation),
                         ::testing::PrintToStringParamName());

TEST_P(TsneMethods, SeparateClustersAndAgreeOnTheDivergence) {
  const Tensor features = clusters(400, 8, 8);
  const TsneConfig config{.perplexity = 15, .method = GetParam(), .iterations = 300};
  const TsneResult result = tsne(features, config);
  EXPECT_EQ(result.method, GetParam());
  EXPECT_GT(label_agreement(result.points, round_robin(400, 8)), 0.98);
  static const double kExact =
      tsne(features, {.perplexity = 15, .method = TsneMethod::kExact, .iterations = 300}).kl;
  EXPECT_NEAR(result.kl, kExact, 0.12);
  double x = 0;
  double y = 0;
  for (std::int64_t i = 0; i < 400; ++i) {
    x += result.points.data<float>()[2 * i];
    y += result.points.data<float>()[2 * i + 1];
  }
  EXPECT_NEAR(x, 0, 1e-2);
  EXPECT_NEAR(y, 0, 1e-2);
}

TEST_P(TsneMethods, GiveTheSameMapOnAnyNumberOfThreads) {
  const Tensor features = clusters(200, 70, 6);
  const int before = num_threads();
  const TsneConfig config{.perplexity = 10, .method = GetParam(), .iterations = 60, .pca = 50};
  set_num_threads(1);
  const TsneResult one = tsne(features, config);
  set_num_threads(5);
  const TsneResult five = tsne(features, config);
  set_num_threads(before);
  testing::expect_identical(one.points, five.points);
  EXPECT_EQ(one.kl, five.kl);
}

TEST_P(TsneMethods, TakeDuplicatesAndConstantFeatures) {
  for (const bool constant : {true, false}) {
    const Tensor features = constant ? Tensor::full({64, 3}, 2) : clusters(64, 3, 2);
    for (std::int64_t i = 0; i < 20 * 3; ++i)
      features.data<float>()[i] = features.data<float>()[i % 3];
    const TsneResult result =
        tsne(features, {.perplexity = 5, .method = GetParam(), .iterations = 60});
    for (const float value : result.points.span<float>()) EXPECT_TRUE(std::isfinite(value));
    EXPECT_TRUE(std::isfinite(result.kl));
  }
}

TEST(Tsne, StartsWhereTheSeedSays) {
  const Tensor features = clusters(100, 4, 3);
  TsneConfig config{.perplexity = 8, .iterations = 20, .start = TsneStart::kRandom, .seed = 1};
  const TsneResult first = tsne(features, config);
  testing::expect_identical(first.points, tsne(features, config).points);
  config.seed = 2;
  EXPECT_NE(first.points.data<float>()[0], tsne(features, config).points.data<float>()[0]);
}

TEST(Tsne, RefusesWhatItCannotMap) {
  const Tensor features = clusters(60, 3, 2);
  EXPECT_THAT(
      [&] { tsne(features, {.perplexity = 20}); },
      ThrowsMessage<Error>(HasSubstr("needs at least 61 points, got 60; choose at most 19")));
  EXPECT_THAT(
      [&] { tsne(clusters(5, 3, 2), {.perplexity = 1.4}); },
      ThrowsMessage<Error>(HasSubstr("needs at least 6 points, got 5; choose at most 1.33")));
  EXPECT_NO_THROW(tsne(clusters(5, 3, 2), {.perplexity = 1.33, .iterations = 3}));
  EXPECT_THAT([&] { tsne(clusters(4, 3, 2), {.perplexity = 1.01}); },
              ThrowsMessage<Error>(HasSubstr("too few points")));
  EXPECT_THROW(tsne(features, {.perplexity = 1}), Error);
  EXPECT_THROW(tsne(Tensor::empty({60}), {.perplexity = 5}), Error);
  const Tensor bad = features.clone();
  bad.data<float>()[4 * 3 + 1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT([&] { tsne(bad, {.perplexity = 5}); },
              ThrowsMessage<Error>(HasSubstr("must be finite, got nan in row 4, column 1")));
  bad.data<float>()[4 * 3 + 1] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(tsne(bad, {.perplexity = 5}), Error);
}

TEST(Tsne, EndsWhenToldTo) {
  const Tensor features = clusters(100, 4, 3);
  const TsneResult some = tsne(features, {.perplexity = 8}, [](const TsneProgress& now) {
    return now.phase == TsnePhase::kNeighbors || now.done < 17;
  });
  EXPECT_EQ(some.iterations, 17);
  EXPECT_TRUE(some.points.defined());
  EXPECT_TRUE(std::isfinite(some.kl));
  const TsneResult none =
      tsne(features, {.perplexity = 8}, [](const TsneProgress&) { return false; });
  EXPECT_FALSE(none.points.defined());
}

TEST(LabelAgreement, IsTheShareOfNeighborsWithTheLabel) {
  // Two lines of points: neighbors come from the own line until it is exhausted.
  std::vector<float> values;
  std::vector<std::int64_t> labels;
  for (int line = 0; line < 2; ++line) {
    for (int i = 0; i < 4; ++i) {
      values.push_back(static_cast<float>(i));
      values.push_back(static_cast<float>(100 * line));
      labels.push_back(line);
    }
  }
  const Tensor points = Tensor::from(values, {8, 2});
  EXPECT_DOUBLE_EQ(label_agreement(points, labels, 3), 1);
  EXPECT_DOUBLE_EQ(label_agreement(points, labels, 6), 0.5);
  EXPECT_THROW(label_agreement(points, labels, 8), Error);
  EXPECT_THROW(label_agreement(points, {}, 3), Error);
}

TEST(LabelAgreement, EqualsASort) {
  const std::int64_t n = 700;
  const Tensor points = clusters(n, 2, 20);
  const std::vector<std::int64_t> labels = round_robin(n, 20);
  double agreeing = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    std::vector<std::pair<float, std::int64_t>> order;
    for (std::int64_t j = 0; j < n; ++j) {
      const float dx = points.data<float>()[2 * i] - points.data<float>()[2 * j];
      const float dy = points.data<float>()[2 * i + 1] - points.data<float>()[2 * j + 1];
      if (j != i) order.emplace_back(dx * dx + dy * dy, j);
    }
    std::ranges::sort(order);
    for (std::size_t j = 0; j < 10; ++j)
      agreeing +=
          labels[static_cast<std::size_t>(order[j].second)] == labels[static_cast<std::size_t>(i)];
  }
  EXPECT_NEAR(label_agreement(points, labels), agreeing / static_cast<double>(10 * n), 1e-6);
}

}  // namespace
}  // namespace invp
