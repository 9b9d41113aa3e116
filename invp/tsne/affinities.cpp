#include "invp/tsne/affinities.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "engine/core/parallel.h"
#include "engine/ops/search/top_similar.h"
#include "invp/tsne/matrix.h"

namespace invp {

namespace {

/// Rows per search.
constexpr std::int64_t kBlock = 1024;

/// a.b - |b|^2 / 2 is largest for the row b nearest to a. The search is for the largest inner
/// product, so rows get the column -|b|^2 / 2, and queries a column of ones.
struct Augmented {
  Tensor queries, rows;
};

Augmented augment(const Tensor& data) {
  const std::int64_t n = data.dim(0);
  const std::int64_t d = data.dim(1);
  const Augmented result{Tensor::empty({n, d + 1}), Tensor::empty({n, d + 1})};
  const auto from = matrix_of(data);
  matrix_of(result.queries) << from, Eigen::VectorXf::Ones(n);
  matrix_of(result.rows) << from, -(from.cast<double>().rowwise().squaredNorm() / 2).cast<float>();
  return result;
}

/// The k rows of the k + 1 found for row i that are not i itself. If i is not among them (k + 1
/// equal rows come before it), the last is left out.
void take_others(std::int64_t i, std::int64_t k, const std::int32_t* found, std::int32_t* others) {
  std::int64_t kept = 0;
  for (std::int64_t j = 0; j <= k && kept < k; ++j) {
    if (found[j] != i) others[kept++] = found[j];
  }
}

/// The transpose: the rows that have i among their neighbors stand at sources[begin[i]] to
/// sources[begin[i + 1]], ascending, as positions in nearest.rows.
struct Transpose {
  std::vector<std::int64_t> begin, sources;

  explicit Transpose(const NearestRows& nearest)
      : begin(nearest.rows.size() / static_cast<std::size_t>(nearest.k) + 1),
        sources(nearest.rows.size()) {
    for (const std::int32_t row : nearest.rows) ++begin[static_cast<std::size_t>(row + 1)];
    for (std::size_t i = 1; i < begin.size(); ++i) begin[i] += begin[i - 1];
    std::vector<std::int64_t> next(begin.begin(), begin.end() - 1);
    for (std::int64_t at = 0; at < std::ssize(nearest.rows); ++at) {
      const auto row = static_cast<std::size_t>(nearest.rows[static_cast<std::size_t>(at)]);
      sources[static_cast<std::size_t>(next[row]++)] = at;
    }
  }
};

}  // namespace

std::optional<NearestRows> nearest_rows(
    const Tensor& data, std::int64_t k,
    const std::function<bool(std::int64_t done, std::int64_t total)>& progress) {
  const std::int64_t n = data.dim(0);
  CHECK(k >= 1 && k < n, "[tsne] ", n, " points have no ", k, " neighbors each");
  NearestRows nearest{.k = k, .rows = {}, .distances2 = {}};
  nearest.rows.resize(static_cast<std::size_t>(n * k));
  nearest.distances2.resize(static_cast<std::size_t>(n * k));
  const bool all = k == n - 1;
  const auto matrix = matrix_of(data);
  const Augmented augmented = all ? Augmented{} : augment(data);
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    const std::int64_t end = std::min(begin + kBlock, n);
    TopSimilar top;
    if (!all) top = top_similar(augmented.queries.slice(begin, end), augmented.rows, k + 1);
    parallel_for(begin, end, 16, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) {
        std::int32_t* rows = nearest.rows.data() + i * k;
        if (all) {
          for (std::int64_t j = 0; j < k; ++j) rows[j] = static_cast<std::int32_t>(j + (j >= i));
        } else {
          take_others(i, k, top.rows.data<std::int32_t>() + (i - begin) * (k + 1), rows);
        }
        // From differences: the inner products of the search lose digits where points are close.
        for (std::int64_t j = 0; j < k; ++j) {
          nearest.distances2[static_cast<std::size_t>(i * k + j)] =
              (matrix.row(i).cast<double>() - matrix.row(rows[j]).cast<double>()).squaredNorm();
        }
      }
    });
    if (!progress(end, n)) return std::nullopt;
  }
  return nearest;
}

void calibrate_row(std::span<const double> distances2, double perplexity, std::span<double> p) {
  constexpr double kTolerance = 1e-5;
  constexpr int kTries = 200;
  const double wanted = std::log(perplexity);
  // Subtracting the least distance changes no probability, and keeps exp from vanishing.
  const double least = *std::ranges::min_element(distances2);
  double beta = 1;
  double low = 0;
  double high = std::numeric_limits<double>::infinity();
  double sum = 0;
  for (int tries = 0; tries < kTries; ++tries) {
    sum = std::numeric_limits<double>::min();
    double weighted = 0;
    for (std::size_t j = 0; j < p.size(); ++j) {
      const double excess = distances2[j] - least;
      p[j] = std::exp(-beta * excess);
      sum += p[j];
      weighted += excess * p[j];
    }
    const double difference = beta * weighted / sum + std::log(sum) - wanted;
    if (std::abs(difference) < kTolerance) break;
    if (difference > 0) {  // too even
      low = beta;
      beta = std::isinf(high) ? 2 * beta : (low + high) / 2;
    } else {
      high = beta;
      beta = (low + high) / 2;
    }
  }
  for (double& probability : p) probability /= sum;
}

Affinities joint_affinities(const NearestRows& nearest, double perplexity) {
  const std::int64_t k = nearest.k;
  const auto n = std::ssize(nearest.rows) / k;
  std::vector<double> conditional(nearest.rows.size());
  parallel_for(0, n, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      calibrate_row(std::span(nearest.distances2).subspan(i * k, k), perplexity,
                    std::span(conditional).subspan(i * k, k));
    }
  });

  const Transpose transpose(nearest);

  // Merges each row of the matrix with the row of its transpose.
  const auto merge = [&](std::int64_t i, auto&& take) {
    std::int64_t own = i * k;
    std::int64_t other = transpose.begin[static_cast<std::size_t>(i)];
    const std::int64_t own_end = own + k;
    const std::int64_t other_end = transpose.begin[static_cast<std::size_t>(i + 1)];
    constexpr std::int32_t kNone = std::numeric_limits<std::int32_t>::max();
    while (own < own_end || other < other_end) {
      const std::int32_t a = own < own_end ? nearest.rows[static_cast<std::size_t>(own)] : kNone;
      const std::int64_t source =
          other < other_end ? transpose.sources[static_cast<std::size_t>(other)] : 0;
      const std::int32_t b = other < other_end ? static_cast<std::int32_t>(source / k) : kNone;
      double value = 0;
      if (a <= b) value += conditional[static_cast<std::size_t>(own++)];
      if (b <= a) value += conditional[static_cast<std::size_t>(source)], ++other;
      take(std::min(a, b), value);
    }
  };
  Affinities joint;
  joint.begin.assign(static_cast<std::size_t>(n + 1), 0);
  parallel_for(0, n, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      merge(i, [&](std::int32_t, double) { ++joint.begin[static_cast<std::size_t>(i + 1)]; });
    }
  });
  for (std::size_t i = 1; i < joint.begin.size(); ++i) joint.begin[i] += joint.begin[i - 1];
  joint.columns.resize(static_cast<std::size_t>(joint.begin.back()));
  joint.values.resize(joint.columns.size());
  double total = 0;
  for (const double p : conditional) total += 2 * p;
  parallel_for(0, n, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      auto at = static_cast<std::size_t>(joint.begin[static_cast<std::size_t>(i)]);
      merge(i, [&](std::int32_t column, double value) {
        joint.columns[at] = column;
        joint.values[at++] = static_cast<float>(value / total);
      });
    }
  });
  return joint;
}

}  // namespace invp
