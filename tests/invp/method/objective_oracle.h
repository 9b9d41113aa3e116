// The objective again, slowly: one image at a time in double, with sets, straight from the formulas
// of contrast.h and neighbor_graph.h. Gradients are central differences of this.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "invp/method/objective.h"
#include "tests/support/values.h"

namespace invp::testing {

using Rows = std::vector<std::int64_t>;

struct OracleInput {
  std::int64_t dim = 0;
  Values features;              ///< (b, d) before normalisation
  Rows indices;                 ///< b
  Values bank;                  ///< (n, d)
  std::vector<Rows> neighbors;  ///< n lists of k, -1 = unset
  std::int64_t images() const { return std::ssize(neighbors); }
  Values feature(std::size_t i) const {
    const auto first = features.begin() + static_cast<std::int64_t>(i) * dim;
    return {first, first + dim};
  }
};

struct OracleSets {
  std::set<std::int64_t> background;
  Rows positives;
  Rows hard;
  Rows new_neighbors;
};

inline Values normalised(Values x) {
  const double length = std::sqrt(std::inner_product(x.begin(), x.end(), x.begin(), 0.0));
  for (double& value : x) value /= length;
  return x;
}

inline Values similarities(const OracleInput& in, const Values& feature) {
  const Values v = normalised(feature);
  Values s(static_cast<std::size_t>(in.images()));
  for (std::size_t j = 0; j < s.size(); ++j) {
    s[j] = std::inner_product(v.begin(), v.end(),
                              in.bank.begin() + static_cast<std::int64_t>(j) * in.dim, 0.0);
  }
  return s;
}

inline OracleSets find_sets(const OracleInput& in, std::size_t i, const ObjectiveConfig& config) {
  const Values s = similarities(in, in.feature(i));
  const std::int64_t self = in.indices[i];
  const auto s_of = [&s](std::int64_t j) { return s[static_cast<std::size_t>(j)]; };
  Rows order(s.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater<>(), s_of);

  OracleSets sets;
  sets.background = {order.begin(), order.begin() + std::min(std::ssize(order), config.background)};

  const auto k = static_cast<std::size_t>(config.neighbors);
  sets.new_neighbors = {order.begin(), order.begin() + std::min(order.size(), k + 1)};
  if (std::erase(sets.new_neighbors, self) == 0) sets.new_neighbors.pop_back();
  sets.new_neighbors.resize(k, -1);

  if (config.no_invariance) return sets;
  Rows level{self};
  for (int step = 0; step < config.steps; ++step) {
    Rows next;
    for (const std::int64_t from : level) {
      for (const std::int64_t to : in.neighbors[static_cast<std::size_t>(from)]) {
        if (to >= 0) next.push_back(to);
      }
    }
    for (const std::int64_t j : next) {
      const bool known = j == self || std::ranges::count(sets.positives, j) > 0;
      if (config.form == ContrastForm::kReleased || !known) sets.positives.push_back(j);
    }
    level = next;
  }
  sets.hard = sets.positives;
  if (config.positives == PositiveChoice::kAll) return sets;
  const double sign = config.positives == PositiveChoice::kLeastSimilar ? 1 : -1;
  std::ranges::stable_sort(sets.hard, {}, [&](std::int64_t j) { return sign * s_of(j); });
  sets.hard.resize(std::min(sets.hard.size(), static_cast<std::size_t>(config.hard_positives)));
  return sets;
}

struct OracleLosses {
  double ins = 0;
  double inv = 0;
};

inline OracleLosses losses(const OracleInput& in, std::size_t i, const Values& feature,
                           const OracleSets& sets, const ObjectiveConfig& config) {
  const Values s = similarities(in, feature);
  const auto e = [&](std::int64_t j) {
    return std::exp(s[static_cast<std::size_t>(j)] / static_cast<double>(config.tau));
  };
  const auto total = [&e](const auto& rows) {
    double sum = 0;
    for (const std::int64_t j : rows) sum += e(j);
    return sum;
  };
  const std::int64_t self = in.indices[i];
  if (config.form == ContrastForm::kReleased) {
    const double all = total(sets.background);
    const double rest = all - e(self);
    return {-std::log(e(self) / all + 1e-7),
            sets.hard.empty() ? 0 : -std::log(total(sets.hard) / rest + 1e-7)};
  }
  std::set<std::int64_t> with_self = sets.background;
  with_self.insert(self);
  std::set<std::int64_t> base = sets.background;
  base.erase(self);
  for (const std::int64_t j : sets.positives) base.erase(j);
  base.insert(sets.hard.begin(), sets.hard.end());
  return {-std::log(e(self) / total(with_self)),
          sets.hard.empty() ? 0 : -std::log(total(sets.hard) / total(base))};
}

struct OracleResult {
  OracleLosses means;
  Values gradient;  ///< of mean(L_ins + weight L_inv), (b, d)
  std::vector<OracleSets> sets;
};

inline OracleResult run_oracle(const OracleInput& in, const ObjectiveConfig& config,
                               double weight) {
  constexpr double kStep = 1e-6;
  const auto batch = static_cast<double>(in.indices.size());
  OracleResult result;
  for (std::size_t i = 0; i < in.indices.size(); ++i) {
    const OracleSets sets = find_sets(in, i, config);
    const OracleLosses here = losses(in, i, in.feature(i), sets, config);
    result.means.ins += here.ins / batch;
    result.means.inv += here.inv / batch;
    for (std::size_t k = 0; k < static_cast<std::size_t>(in.dim); ++k) {
      const auto moved = [&](double by) {
        Values feature = in.feature(i);
        feature[k] += by;
        const OracleLosses there = losses(in, i, feature, sets, config);
        return there.ins + weight * there.inv;
      };
      result.gradient.push_back((moved(kStep) - moved(-kStep)) / (2 * kStep) / batch);
    }
    result.sets.push_back(sets);
  }
  return result;
}

}  // namespace invp::testing
