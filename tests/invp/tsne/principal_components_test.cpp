#include "invp/tsne/principal_components.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <span>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/core/random.h"
#include "tests/support/close.h"

namespace invp {
namespace {

/// Rows around `offset`, whose deviations differ from column to column so that no two axes are
/// equally long.
Tensor scattered(std::int64_t n, std::int64_t d, double offset = 0) {
  const Tensor data = Tensor::empty({n, d});
  Random random(7, Purpose::kSynthetic);
  for (std::int64_t i = 0; i < n; ++i) {
    const double common = random.normal();
    for (std::int64_t k = 0; k < d; ++k) {
      const double deviation = 5.0 / static_cast<double>(1 + k);
      data.data<float>()[i * d + k] =
          static_cast<float>(offset + deviation * random.normal() + 0.5 * common);
    }
  }
  return data;
}

/// A matrix as rows of doubles.
using Rows = std::vector<std::vector<double>>;

Rows centred_rows(const Tensor& data) {
  const auto n = static_cast<std::size_t>(data.dim(0));
  const auto d = static_cast<std::size_t>(data.dim(1));
  Rows rows(n, std::vector<double>(d));
  for (std::size_t k = 0; k < d; ++k) {
    double mean = 0;
    for (std::size_t i = 0; i < n; ++i) mean += data.data<float>()[i * d + k];
    for (std::size_t i = 0; i < n; ++i) {
      rows[i][k] = data.data<float>()[i * d + k] - mean / static_cast<double>(n);
    }
  }
  return rows;
}

/// Jacobi's rotations of the symmetric matrix `a` until nothing is left beside its diagonal. Row c
/// of the result is the eigenvector of a[c][c].
Rows jacobi(Rows& a) {
  const std::size_t m = a.size();
  Rows vectors(m, std::vector<double>(m));
  for (std::size_t i = 0; i < m; ++i) vectors[i][i] = 1;
  for (int sweep = 0; sweep < 30; ++sweep) {
    for (std::size_t p = 0; p < m; ++p) {
      for (std::size_t q = p + 1; q < m; ++q) {
        const double angle = std::atan2(2 * a[p][q], a[q][q] - a[p][p]) / 2;
        const double c = std::cos(angle);
        const double s = std::sin(angle);
        const auto rotate = [&](double& x, double& y) {
          const double old = x;
          x = c * old - s * y;
          y = s * old + c * y;
        };
        for (std::size_t k = 0; k < m; ++k) rotate(a[k][p], a[k][q]);
        for (std::size_t k = 0; k < m; ++k) rotate(a[p][k], a[q][k]);
        for (std::size_t k = 0; k < m; ++k) rotate(vectors[p][k], vectors[q][k]);
      }
    }
  }
  return vectors;
}

/// The components by their definition: eigenvectors of the covariance, the largest element of each
/// positive, largest eigenvalue first.
Rows oracle(const Tensor& data, std::size_t count) {
  const Rows rows = centred_rows(data);
  const std::size_t d = rows[0].size();
  Rows scatter(d, std::vector<double>(d));
  for (const auto& row : rows) {
    for (std::size_t a = 0; a < d; ++a) {
      for (std::size_t b = 0; b < d; ++b) scatter[a][b] += row[a] * row[b];
    }
  }
  Rows vectors = jacobi(scatter);
  std::vector<std::size_t> order(d);
  for (std::size_t c = 0; c < d; ++c) order[c] = c;
  std::ranges::sort(order, std::greater(), [&](std::size_t c) { return scatter[c][c]; });
  Rows components(rows.size(), std::vector<double>(count));
  for (std::size_t c = 0; c < count; ++c) {
    std::vector<double>& axis = vectors[order[c]];
    const double largest =
        *std::ranges::max_element(axis, {}, [](double value) { return std::abs(value); });
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (std::size_t k = 0; k < d; ++k) {
        components[i][c] += (largest < 0 ? -1 : 1) * rows[i][k] * axis[k];
      }
    }
  }
  return components;
}

void expect_near(const Tensor& found, const Rows& expected, double tolerance) {
  const auto width = static_cast<std::size_t>(found.dim(1));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    for (std::size_t c = 0; c < width; ++c) {
      EXPECT_NEAR(found.data<float>()[i * width + c], expected[i][c], tolerance)
          << "row " << i << ", component " << c;
    }
  }
}

struct Size {
  std::int64_t n, d, count;
};

class PrincipalComponents : public ::testing::TestWithParam<Size> {};
INSTANTIATE_TEST_SUITE_P(Sizes, PrincipalComponents,
                         ::testing::Values(Size{200, 1, 1}, Size{300, 7, 3}, Size{300, 7, 7},
                                           Size{20, 30, 4}, Size{12, 40, 11}, Size{30, 30, 5},
                                           Size{700, 24, 24}, Size{2, 5, 1}));

TEST_P(PrincipalComponents, AreThoseOfJacobisRotations) {
  const auto [n, d, count] = GetParam();
  const Tensor data = scattered(n, d);
  const Tensor found = principal_components(data, count);
  ASSERT_EQ(found.shape(), Shape({n, count}));
  expect_near(found, oracle(data, static_cast<std::size_t>(count)), 2e-5);
}

TEST(PrincipalComponentsEdges, AreExactFarFromTheOrigin) {
  for (const std::int64_t n : {400, 10}) {
    const Tensor data = scattered(n, 20, 3000);
    expect_near(principal_components(data, 3), oracle(data, 3), 1e-4);
  }
}

TEST(PrincipalComponentsEdges, BeyondTheRankAreZero) {
  const Tensor few = scattered(40, 3);
  for (const std::int64_t n : {40, 12}) {
    const Tensor data = Tensor::zeros({n, 25});  // three of its columns are filled
    for (std::int64_t i = 0; i < 3 * n; ++i) {
      data.data<float>()[i / 3 * 25 + 8 * (i % 3)] = few.data<float>()[i];
    }
    const Tensor found = principal_components(data, 20);
    expect_near(found, oracle(data, 20), 2e-5);
  }
}

TEST(PrincipalComponentsEdges, OfOnePointOrEqualPointsAreZero) {
  for (const Shape& shape : {Shape{1, 1}, Shape{1, 9}, Shape{6, 9}, Shape{9, 6}, Shape{600, 601}}) {
    const Tensor found = principal_components(Tensor::full(shape, 2.5F), 4);
    ASSERT_EQ(found.shape(), Shape({shape[0], std::min<std::int64_t>(4, shape[1])}));
    for (const float value : found.span<float>()) EXPECT_EQ(value, 0);
  }
}

TEST(PrincipalComponentsEdges, MoreThanThereAreColumnsAreRefusedOrLeftOut) {
  EXPECT_EQ(principal_components(scattered(10, 4), 9).shape(), Shape({10, 4}));
  EXPECT_THROW(principal_components(scattered(10, 4), 0), Error);
  EXPECT_THROW(principal_components(Tensor::zeros({0, 4}), 2), Error);
}

/// Element i of the c-th vector of the cosine basis of `size` dimensions, which is orthonormal.
double cosine(std::int64_t c, std::int64_t i, std::int64_t size) {
  const auto length = static_cast<double>(size);
  return std::sqrt(2 / length) * std::cos(std::numbers::pi * (static_cast<double>(i) + 0.5) *
                                          static_cast<double>(c) / length);
}

// The sum of s_c u_c v_c^T with u and v of the cosine bases has the components s_c u_c, in closed
// form. Sizes from which on Lanczos' method serves; without constant vectors, columns have mean 0.
TEST(PrincipalComponentsLarge, AreThoseOfAKnownDecomposition) {
  for (const auto& [n, d] : {std::pair<std::int64_t, std::int64_t>{560, 530}, {530, 560}}) {
    // The lengths of the axes: a few long ones, then many that are equal.
    const std::int64_t all = 60;
    const auto length = [](std::int64_t c) { return c < 4 ? 50.0 / static_cast<double>(c) : 2; };
    const Tensor data = Tensor::empty({n, d});
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t k = 0; k < d; ++k) {
        double sum = 0;
        for (std::int64_t c = 1; c < all; ++c) sum += length(c) * cosine(c, i, n) * cosine(c, k, d);
        data.data<float>()[i * d + k] = static_cast<float>(sum);
      }
    }
    const Tensor found = principal_components(data, 8);
    for (std::int64_t c = 0; c < 8; ++c) {
      double length2 = 0;
      for (std::int64_t i = 0; i < n; ++i) {
        const float value = found.data<float>()[i * 8 + c];
        length2 += static_cast<double>(value) * value;
        if (c < 3) {
          EXPECT_NEAR(std::abs(value), std::abs(length(c + 1) * cosine(c + 1, i, n)), 1e-4);
        }
      }
      EXPECT_NEAR(std::sqrt(length2), length(c + 1), 1e-4) << c;
    }
  }
}

TEST(PrincipalComponentsLarge, OfRowsOnALineLieOnOneAxis) {
  const std::int64_t n = 530;
  const Tensor data = Tensor::zeros({n, n + 1});
  for (std::int64_t i = 0; i < n; ++i) {
    const double along = cosine(1, i, n);
    data.data<float>()[i * (n + 1)] = static_cast<float>(-3 * along);
    data.data<float>()[i * (n + 1) + 1] = static_cast<float>(4 * along);
  }
  const Tensor found = principal_components(data, 3);
  for (std::int64_t i = 0; i < n; ++i) {
    EXPECT_NEAR(found.data<float>()[3 * i], 5 * cosine(1, i, n), 1e-5);
    EXPECT_NEAR(found.data<float>()[3 * i + 1], 0, 1e-5);
    EXPECT_NEAR(found.data<float>()[3 * i + 2], 0, 1e-5);
  }
}

// Every direction is as good as another: any answer is right that keeps the length.
TEST(PrincipalComponentsLarge, OfARoundCloudHaveItsRadius) {
  const std::int64_t n = 600;
  const Tensor data = Tensor::zeros({n, n});
  for (std::int64_t i = 0; i < n; ++i) data.data<float>()[i * n + i] = 1;
  const Tensor found = principal_components(data, 3);
  for (std::int64_t c = 0; c < 3; ++c) {
    double length2 = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      length2 += std::pow(static_cast<double>(found.data<float>()[i * 3 + c]), 2);
    }
    EXPECT_NEAR(length2, 1, 1e-5);
  }
}

TEST(PrincipalComponentsLarge, DoNotDependOnTheNumberOfThreads) {
  const int before = num_threads();
  for (const auto& [n, d] : {std::pair<std::int64_t, std::int64_t>{900, 530}, {530, 900}}) {
    const Tensor data = scattered(n, d);
    set_num_threads(1);
    const Tensor one = principal_components(data, 5);
    set_num_threads(3);
    testing::expect_identical(one, principal_components(data, 5));
  }
  set_num_threads(before);
}

}  // namespace
}  // namespace invp
