// Batch norm over groups by its definition, in double, with gradients by central differences.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "engine/ops/groups/batch_norm_groups.h"
#include "tests/support/gradient.h"
#include "tests/support/values.h"

namespace invp::testing {

struct Problem {
  std::vector<MapSize> sizes;
  std::int64_t channels;
  NormSharing sharing;
  BatchNormFusion fusion;
  Values x, residual, gamma, beta, running_mean, running_var, dy;
};

inline Problem make_problem(std::vector<MapSize> sizes, std::int64_t channels, NormSharing sharing,
                            BatchNormFusion fusion, std::uint64_t seed = 0) {
  const std::int64_t n = rows_of(sizes) * channels;
  return {.sizes = std::move(sizes),
          .channels = channels,
          .sharing = sharing,
          .fusion = fusion,
          .x = random_values(seed + 1, n),
          .residual = random_values(seed + 2, n),
          .gamma = random_values(seed + 3, channels),
          .beta = random_values(seed + 4, channels),
          .running_mean = random_values(seed + 5, channels),
          .running_var = random_values(seed + 6, channels, 0.5, 2),
          .dy = random_values(seed + 7, n)};
}

struct Statistics {
  double mean = 0, var = 0, running_var = 0;
};

/// The rows of some groups alone.
inline Problem of_groups(const Problem& p, std::size_t first, std::size_t last) {
  const auto row_of = [&](std::size_t group) {
    return rows_of({p.sizes.begin(), p.sizes.begin() + static_cast<std::ptrdiff_t>(group)}) *
           p.channels;
  };
  const auto part = [&](const Values& all) {
    return Values(all.begin() + row_of(first), all.begin() + row_of(last));
  };
  Problem some = p;
  some.sizes.assign(p.sizes.begin() + static_cast<std::ptrdiff_t>(first),
                    p.sizes.begin() + static_cast<std::ptrdiff_t>(last));
  some.x = part(p.x);
  some.residual = part(p.residual);
  some.dy = part(p.dy);
  return some;
}

/// Of one channel, by the definition: averages of x and x^2. Of kLocal, the first group's.
inline Statistics statistics_of(const Problem& p, std::int64_t channel) {
  if (p.sharing == NormSharing::kLocal && p.sizes.size() > 1)
    return statistics_of(of_groups(p, 0, 1), channel);
  double mean = 0, square = 0;
  std::size_t at = static_cast<std::size_t>(channel);
  const auto all = static_cast<double>(rows_of(p.sizes));
  for (const MapSize& size : p.sizes) {
    const double share =
        p.sharing == NormSharing::kSync
            ? 1 / all
            : 1 / (static_cast<double>(size.rows()) * static_cast<double>(p.sizes.size()));
    for (std::int64_t row = 0; row < size.rows(); ++row) {
      mean += share * p.x[at];
      square += share * p.x[at] * p.x[at];
      at += static_cast<std::size_t>(p.channels);
    }
  }
  Statistics s{.mean = mean, .var = square - mean * mean};
  const bool unbiased = p.sharing == NormSharing::kSync || p.sizes.size() == 1;
  s.running_var = unbiased ? s.var * all / (all - 1) : s.var;
  return s;
}

inline Values forward(const Problem& p) {
  if (p.sharing == NormSharing::kLocal && p.sizes.size() > 1) {
    Values all;
    for (std::size_t g = 0; g < p.sizes.size(); ++g) {
      const Values one = forward(of_groups(p, g, g + 1));
      all.insert(all.end(), one.begin(), one.end());
    }
    return all;
  }
  Values y = p.x;
  for (std::int64_t c = 0; c < p.channels; ++c) {
    const Statistics s = statistics_of(p, c);
    const auto channel = static_cast<std::size_t>(c);
    for (std::size_t i = channel; i < y.size(); i += static_cast<std::size_t>(p.channels)) {
      y[i] = p.gamma[channel] * (p.x[i] - s.mean) / std::sqrt(s.var + 1e-5) + p.beta[channel];
      if (p.fusion == BatchNormFusion::kAddRelu) y[i] += p.residual[i];
      if (p.fusion != BatchNormFusion::kNone) y[i] = std::max(y[i], 0.0);
    }
  }
  return y;
}

/// The gradient of inner(y, dy) with respect to one of the problem's parts, by central differences.
inline Values numeric(const Problem& p, Values Problem::*which) {
  constexpr double kStep = 1e-5;
  Values gradient;
  Problem moved = p;
  for (std::size_t i = 0; i < (p.*which).size(); ++i) {
    (moved.*which)[i] = (p.*which)[i] + kStep;
    const double above = inner(forward(moved), p.dy);
    (moved.*which)[i] = (p.*which)[i] - kStep;
    const double below = inner(forward(moved), p.dy);
    (moved.*which)[i] = (p.*which)[i];
    gradient.push_back((above - below) / (2 * kStep));
  }
  return gradient;
}

/// No value of the fused form lies within the step's reach of relu's kink.
inline bool smooth(const Problem& p) {
  Problem bare = p;
  bare.fusion = BatchNormFusion::kNone;
  Values y = forward(bare);
  for (std::size_t i = 0; i < y.size(); ++i) {
    if (p.fusion == BatchNormFusion::kAddRelu) y[i] += p.residual[i];
    if (std::abs(y[i]) < 1e-3) return false;
  }
  return true;
}

/// The first problem that has a derivative everywhere.
inline Problem smooth_problem(const std::vector<MapSize>& sizes, NormSharing sharing,
                              BatchNormFusion fusion) {
  for (std::uint64_t seed = 0;; seed += 10) {
    Problem p = make_problem(sizes, 3, sharing, fusion, seed);
    if (fusion == BatchNormFusion::kNone || smooth(p)) return p;
  }
}

}  // namespace invp::testing
