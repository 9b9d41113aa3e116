#include "invp/tsne/principal_components.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/core/random.h"

namespace invp {

namespace {

/// Columns of d numbers each, one after another.
using Columns = std::vector<double>;

std::vector<float> centred(const Tensor& data) {
  const std::int64_t n = data.dim(0);
  const std::int64_t d = data.dim(1);
  std::vector<double> mean(static_cast<std::size_t>(d));
  const float* from = data.data<float>();
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t k = 0; k < d; ++k) mean[static_cast<std::size_t>(k)] += from[i * d + k];
  }
  std::vector<float> rows(static_cast<std::size_t>(n * d));
  parallel_for(0, n, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      for (std::int64_t k = 0; k < d; ++k) {
        rows[static_cast<std::size_t>(i * d + k)] = static_cast<float>(
            from[i * d + k] - mean[static_cast<std::size_t>(k)] / static_cast<double>(n));
      }
    }
  });
  return rows;
}

/// The covariance, not divided by n: (d, d). Sums over a few rows in f32, over those in double.
std::vector<double> scatter_matrix(const std::vector<float>& rows, std::int64_t d) {
  constexpr std::int64_t kRows = 256;
  constexpr std::int64_t kTile = 4;
  const std::int64_t n = std::ssize(rows) / d;
  std::vector<double> matrix(static_cast<std::size_t>(d * d));
  parallel_for(0, (d + kTile - 1) / kTile, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> sums(static_cast<std::size_t>(kTile * d));
    for (std::int64_t first = 0; first < n; first += kRows) {
      const std::int64_t last = std::min(first + kRows, n);
      for (std::int64_t tile = begin * kTile; tile < std::min(end * kTile, d); tile += kTile) {
        const std::int64_t height = std::min(kTile, d - tile);
        std::ranges::fill(sums, 0.0F);
        for (std::int64_t i = first; i < last; ++i) {
          const float* row = rows.data() + i * d;
          for (std::int64_t a = 0; a < height; ++a) {
            float* sum = sums.data() + a * d;
            const float factor = row[tile + a];
#pragma omp simd
            for (std::int64_t b = 0; b < d; ++b) sum[b] += factor * row[b];
          }
        }
        for (std::int64_t at = 0; at < height * d; ++at) {
          matrix[static_cast<std::size_t>(tile * d + at)] += sums[static_cast<std::size_t>(at)];
        }
      }
    }
  });
  return matrix;
}

double dot(const double* a, const double* b, std::int64_t d) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t k = 0; k < d; ++k) sum += a[k] * b[k];
  return sum;
}

/// Gram-Schmidt, twice. A column that the others span becomes zero.
void orthonormalise(Columns& columns, std::int64_t d) {
  const std::int64_t count = std::ssize(columns) / d;
  for (std::int64_t c = 0; c < count; ++c) {
    double* column = columns.data() + c * d;
    const double before = std::sqrt(dot(column, column, d));
    for (int pass = 0; pass < 2; ++pass) {
      for (std::int64_t other = 0; other < c; ++other) {
        const double* o = columns.data() + other * d;
        const double share = dot(o, column, d);
        for (std::int64_t k = 0; k < d; ++k) column[k] -= share * o[k];
      }
    }
    const double length = std::sqrt(dot(column, column, d));
    const double scale = length > 1e-12 * before ? 1 / length : 0;
    for (std::int64_t k = 0; k < d; ++k) column[k] *= scale;
  }
}

Columns multiplied(const std::vector<double>& matrix, const Columns& columns, std::int64_t d) {
  Columns product(columns.size());
  const std::int64_t count = std::ssize(columns) / d;
  parallel_for(0, d, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      for (std::int64_t c = 0; c < count; ++c) {
        product[static_cast<std::size_t>(c * d + i)] =
            dot(matrix.data() + i * d, columns.data() + c * d, d);
      }
    }
  });
  return product;
}

/// Jacobi's rotations until the symmetric matrix (m, m) is diagonal; returns the rotation, whose
/// columns are the eigenvectors: vectors[c * m + i].
std::vector<double> diagonalise(std::vector<double>& a, std::int64_t m) {
  std::vector<double> vectors(a.size());
  for (std::int64_t i = 0; i < m; ++i) vectors[static_cast<std::size_t>(i * m + i)] = 1;
  const auto at = [&](std::int64_t i, std::int64_t j) -> double& {
    return a[static_cast<std::size_t>(i * m + j)];
  };
  constexpr int kSweeps = 60;
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    double off = 0;
    double on = 0;
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j < m; ++j) (i == j ? on : off) += at(i, j) * at(i, j);
    }
    if (off <= 1e-26 * on) break;
    for (std::int64_t p = 0; p < m; ++p) {
      for (std::int64_t q = p + 1; q < m; ++q) {
        if (at(p, q) == 0) continue;
        const double theta = (at(q, q) - at(p, p)) / (2 * at(p, q));
        const double t = (theta >= 0 ? 1 : -1) / (std::abs(theta) + std::hypot(theta, 1));
        const double c = 1 / std::hypot(t, 1);
        const double s = t * c;
        for (std::int64_t k = 0; k < m; ++k) {
          const double x = at(k, p);
          const double y = at(k, q);
          at(k, p) = c * x - s * y;
          at(k, q) = s * x + c * y;
        }
        for (std::int64_t k = 0; k < m; ++k) {
          const double x = at(p, k);
          const double y = at(q, k);
          at(p, k) = c * x - s * y;
          at(q, k) = s * x + c * y;
          double& u = vectors[static_cast<std::size_t>(p * m + k)];
          double& v = vectors[static_cast<std::size_t>(q * m + k)];
          const double old = u;
          u = c * old - s * v;
          v = s * old + c * v;
        }
      }
    }
  }
  return vectors;
}

/// The best directions within the span of the columns (Rayleigh-Ritz), largest variance first.
/// Returns the variances.
std::vector<double> rotate_to_axes(const std::vector<double>& matrix, Columns& columns,
                                   std::int64_t d) {
  const std::int64_t m = std::ssize(columns) / d;
  const Columns image = multiplied(matrix, columns, d);
  std::vector<double> projected(static_cast<std::size_t>(m * m));
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j <= i; ++j) {
      projected[static_cast<std::size_t>(i * m + j)] =
          projected[static_cast<std::size_t>(j * m + i)] =
              dot(columns.data() + i * d, image.data() + j * d, d);
    }
  }
  const std::vector<double> vectors = diagonalise(projected, m);
  std::vector<std::int64_t> order(static_cast<std::size_t>(m));
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater<>(), [&](std::int64_t i) {
    return projected[static_cast<std::size_t>(i * m + i)];
  });
  Columns rotated(columns.size());
  std::vector<double> variances;
  for (std::int64_t c = 0; c < m; ++c) {
    const std::int64_t from = order[static_cast<std::size_t>(c)];
    variances.push_back(projected[static_cast<std::size_t>(from * m + from)]);
    for (std::int64_t j = 0; j < m; ++j) {
      const double share = vectors[static_cast<std::size_t>(from * m + j)];
      for (std::int64_t k = 0; k < d; ++k) {
        rotated[static_cast<std::size_t>(c * d + k)] +=
            share * columns[static_cast<std::size_t>(j * d + k)];
      }
    }
  }
  columns = std::move(rotated);
  return variances;
}

/// Subspace iteration with some columns to spare, whose share of the error falls fastest.
Columns leading_directions(const std::vector<double>& matrix, std::int64_t d, std::int64_t count) {
  constexpr std::int64_t kSpare = 10;
  constexpr int kRounds = 200;
  constexpr double kTolerance = 1e-9;
  const std::int64_t m = std::min(d, count + kSpare);
  Columns columns(static_cast<std::size_t>(m * d));
  if (m == d) {
    for (std::int64_t i = 0; i < d; ++i) columns[static_cast<std::size_t>(i * d + i)] = 1;
    rotate_to_axes(matrix, columns, d);
  } else {
    Random random(0, Purpose::kInitialisation);
    for (double& value : columns) value = random.normal();
    orthonormalise(columns, d);
    double before = 0;
    for (int round = 0; round < kRounds; ++round) {
      for (int power = 0; power < 2; ++power) {
        columns = multiplied(matrix, columns, d);
        orthonormalise(columns, d);
      }
      const std::vector<double> variances = rotate_to_axes(matrix, columns, d);
      const double kept = std::accumulate(variances.begin(), variances.begin() + count, 0.0);
      if (kept - before <= kTolerance * kept) break;
      before = kept;
    }
  }
  columns.resize(static_cast<std::size_t>(count * d));
  for (std::int64_t c = 0; c < count; ++c) {
    const auto column = std::span(columns).subspan(c * d, d);
    const double largest =
        *std::ranges::max_element(column, {}, [](double value) { return std::abs(value); });
    if (largest < 0) {
      for (double& value : column) value = -value;
    }
  }
  return columns;
}

}  // namespace

Tensor principal_components(const Tensor& data, std::int64_t count) {
  const std::int64_t n = data.dim(0);
  const std::int64_t d = data.dim(1);
  const std::int64_t kept = std::min(count, d);
  CHECK(n >= 1 && kept >= 1, "[pca] needs rows and columns, got ", data.shape(), " and ", count,
        " components");
  const std::vector<float> rows = centred(data);
  const Columns directions = leading_directions(scatter_matrix(rows, d), d, kept);
  Tensor result = Tensor::empty({n, kept});
  parallel_for(0, n, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const float* row = rows.data() + i * d;
      for (std::int64_t c = 0; c < kept; ++c) {
        const double* direction = directions.data() + c * d;
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (std::int64_t k = 0; k < d; ++k) sum += row[k] * direction[k];
        result.data<float>()[i * kept + c] = static_cast<float>(sum);
      }
    }
  });
  return result;
}

}  // namespace invp
