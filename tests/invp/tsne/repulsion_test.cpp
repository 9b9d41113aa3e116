// Each way of summing the repulsion against a double loop over all pairs.
#include "invp/tsne/repulsion.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include "engine/core/error.h"
#include "engine/core/parallel.h"
#include "engine/core/random.h"
#include "invp/tsne/fft.h"

namespace invp {
namespace {

/// Clusters within a square of the given half side.
Points clusters(std::int64_t n, double half, std::uint64_t seed) {
  Points points(n);
  Random random(seed, Purpose::kSynthetic);
  constexpr std::int64_t kClusters = 12;
  std::vector<double> centres;
  for (std::int64_t c = 0; c < 2 * kClusters; ++c) centres.push_back(random.uniform(-half, half));
  for (std::int64_t i = 0; i < n; ++i) {
    const auto c = static_cast<std::size_t>(2 * (i % kClusters));
    points.x[static_cast<std::size_t>(i)] =
        static_cast<float>(centres[c] + 0.1 * half * random.normal());
    points.y[static_cast<std::size_t>(i)] =
        static_cast<float>(centres[c + 1] + 0.1 * half * random.normal());
  }
  return points;
}

struct Oracle {
  std::vector<double> x, y;
  double z = 0;
  double largest = 0;
};

Oracle double_loop(const Points& points) {
  const auto n = static_cast<std::size_t>(points.size());
  Oracle oracle{.x = std::vector<double>(n), .y = std::vector<double>(n)};
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      if (i == j) continue;
      const double dx = static_cast<double>(points.x[i]) - points.x[j];
      const double dy = static_cast<double>(points.y[i]) - points.y[j];
      const double q = 1 / (1 + dx * dx + dy * dy);
      oracle.z += q;
      oracle.x[i] += q * q * dx;
      oracle.y[i] += q * q * dy;
    }
    oracle.largest = std::max(oracle.largest, std::hypot(oracle.x[i], oracle.y[i]));
  }
  return oracle;
}

/// Largest error of a force, as a share of the largest force; and of Z, as a share of Z.
struct Errors {
  double force = 0, rms = 0, z = 0;
};

Errors errors(Repulsion& repulsion, const Points& points) {
  const Oracle oracle = double_loop(points);
  Points forces(points.size());
  const double z = repulsion.sum(points, forces);
  Errors found{.z = std::abs(z - oracle.z) / oracle.z};
  double squares = 0;
  double errors2 = 0;
  for (std::size_t i = 0; i < forces.x.size(); ++i) {
    const double error = std::hypot(forces.x[i] - oracle.x[i], forces.y[i] - oracle.y[i]);
    found.force = std::max(found.force, error / oracle.largest);
    errors2 += error * error;
    squares += oracle.x[i] * oracle.x[i] + oracle.y[i] * oracle.y[i];
  }
  found.rms = std::sqrt(errors2 / squares);
  return found;
}

TEST(AllPairsRepulsion, EqualsTheDoubleLoop) {
  for (const std::int64_t n : {2, 3, 5, 16, 17, 63, 1000, 2003}) {
    for (const double half : {1e-4, 1.0, 60.0}) {
      const Errors found = errors(*all_pairs_repulsion(), clusters(n, half, 3));
      EXPECT_LT(found.force, 2e-5) << n << " points within " << half;
      EXPECT_LT(found.z, 5e-5) << n << " points within " << half;
    }
  }
}

TEST(BarnesHutRepulsion, ApproachesTheDoubleLoopWithTheta) {
  const Points points = clusters(1500, 30, 4);
  EXPECT_LT(errors(*barnes_hut_repulsion(0), points).force, 1e-5);
  const Errors fine = errors(*barnes_hut_repulsion(0.1), points);
  const Errors usual = errors(*barnes_hut_repulsion(0.5), points);
  EXPECT_LT(fine.rms, 5e-3);
  EXPECT_LT(usual.rms, 0.15);
  EXPECT_LT(usual.z, 0.1);
  EXPECT_GT(usual.rms, 2 * fine.rms) << "theta 0.5 should take more cells whole";
  EXPECT_THROW(barnes_hut_repulsion(-0.1), Error);
}

// Duplicates share a leaf, which counts them all: themselves too, as van der Maaten's does.
TEST(BarnesHutRepulsion, DuplicatesOnlyRaiseALeafsCount) {
  Points points = clusters(40, 5, 5);
  for (std::size_t i = 1; i < 10; ++i) {
    points.x[i] = points.x[0];
    points.y[i] = points.y[0];
  }
  const Oracle oracle = double_loop(points);
  Points forces(40);
  const double z = barnes_hut_repulsion(0)->sum(points, forces);
  EXPECT_NEAR(z, oracle.z + 10, 1e-4 * oracle.z);
  for (std::size_t i = 0; i < 40; ++i) {
    EXPECT_NEAR(forces.x[i], oracle.x[i], 1e-4 * oracle.largest);
    EXPECT_NEAR(forces.y[i], oracle.y[i], 1e-4 * oracle.largest);
  }
}

TEST(GridRepulsion, IsCloseToTheDoubleLoopAtEverySizeOfTheMap) {
  for (const double half : {1e-4, 0.1, 2.0, 20.0, 60.0, 150.0}) {
    const Errors found = errors(*grid_repulsion(), clusters(1500, half, 6));
    EXPECT_LT(found.rms, 3e-2) << half;
    EXPECT_LT(found.force, 5e-2) << half;
    EXPECT_LT(found.z, 6e-3) << half;
    // Where the map is compact, which is where repulsion matters most, there is next to no error.
    if (half <= 2) {
      EXPECT_LT(found.rms, 1e-5) << half;
    }
  }
}

// A map that grows from call to call, as they do: what is kept from the last call must not show.
TEST(GridRepulsion, KeepsNothingWrongBetweenCalls) {
  const auto kept = grid_repulsion();
  for (const double half : {1e-4, 0.01, 1.0, 8.0, 9.0, 30.0, 31.0, 100.0, 5.0}) {
    const Points points = clusters(700, half, 7);
    Points first(700);
    Points second(700);
    kept->sum(clusters(700, half * 0.97, 7), first);
    const double z = kept->sum(points, first);
    const double fresh_z = grid_repulsion()->sum(points, second);
    EXPECT_NEAR(z, fresh_z, 2e-3 * fresh_z) << half;
    const double largest = std::abs(
        *std::ranges::max_element(second.x, {}, [](float force) { return std::abs(force); }));
    for (std::size_t i = 0; i < 700; ++i) EXPECT_NEAR(first.x[i], second.x[i], 1e-2 * largest);
  }
}

TEST(GridRepulsion, TakesPointsInOnePlaceAndPointsThatFled) {
  Points points = clusters(100, 1, 8);
  points.x[7] = 1e5F;
  Points forces(100);
  EXPECT_TRUE(std::isfinite(grid_repulsion()->sum(points, forces)));
  for (const float force : forces.x) EXPECT_TRUE(std::isfinite(force));
  Points same(50);
  Points none(50);
  EXPECT_NEAR(grid_repulsion()->sum(same, none), 50 * 49, 0.5);
  for (const float force : none.x) EXPECT_NEAR(force, 0, 1e-4);
}

TEST(Repulsion, DoesNotDependOnTheNumberOfThreads) {
  const Points points = clusters(3000, 25, 9);
  const int before = num_threads();
  const auto run = [&](int threads, Repulsion& repulsion, Points& forces) {
    set_num_threads(threads);
    return repulsion.sum(points, forces);
  };
  for (const int method : {0, 1, 2}) {
    const auto make = [&] {
      return method == 0   ? all_pairs_repulsion()
             : method == 1 ? barnes_hut_repulsion(0.5)
                           : grid_repulsion();
    };
    Points one(3000);
    Points five(3000);
    const double z_one = run(1, *make(), one);
    const double z_five = run(5, *make(), five);
    EXPECT_EQ(z_one, z_five) << method;
    EXPECT_EQ(one.x, five.x) << method;
    EXPECT_EQ(one.y, five.y) << method;
  }
  set_num_threads(before);
}

TEST(Fft, EqualsTheDefinition) {
  constexpr int kVec = cpu::kVec;
  for (const std::int64_t length : {1, 2, 3, 4, 5, 8, 12, 30, 60, 64, 75, 96}) {
    Random random(10, Purpose::kSynthetic);
    std::vector<float> re(static_cast<std::size_t>(length * kVec));
    std::vector<float> im(re.size());
    for (float& value : re) value = static_cast<float>(random.normal());
    for (float& value : im) value = static_cast<float>(random.normal());
    const std::vector<float> re_in = re;
    const std::vector<float> im_in = im;
    Fft(length).lines(re.data(), im.data());
    for (std::int64_t k = 0; k < length; ++k) {
      for (const int l : {0, kVec - 1}) {
        std::complex<double> sum = 0;
        for (std::int64_t j = 0; j < length; ++j) {
          const auto at = static_cast<std::size_t>(j * kVec + l);
          sum += std::complex<double>(re_in[at], im_in[at]) *
                 std::polar(1.0, -2 * std::numbers::pi * static_cast<double>(j * k) /
                                     static_cast<double>(length));
        }
        const auto at = static_cast<std::size_t>(k * kVec + l);
        EXPECT_NEAR(re[at], sum.real(), 2e-5) << length;
        EXPECT_NEAR(im[at], sum.imag(), 2e-5) << length;
      }
    }
  }
  EXPECT_THROW(Fft(14), Error);
  EXPECT_EQ(Fft::good_length(1) % (2 * kVec), 0);
  EXPECT_GE(Fft::good_length(1000), 1000);
  EXPECT_NO_THROW(Fft{Fft::good_length(1234)});
}

}  // namespace
}  // namespace invp
