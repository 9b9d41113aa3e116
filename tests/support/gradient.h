// Holds the oracles themselves to account: an oracle's backward against central differences of its
// forward, all in double.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "tests/support/values.h"

namespace invp::testing {

/// sum of a[i] * b[i]: the loss whose gradient with respect to a is b.
inline double inner(const Values& a, const Values& b) {
  double total = 0;
  for (std::size_t i = 0; i < a.size(); ++i) total += a.at(i) * b.at(i);
  return total;
}

/// Checks d(loss)/d(x[i]) == gradient[i] for every i by central differences with step h. `loss`
/// must be smooth within h of x. In double the error of a difference is about h^2 + 1e-16 |loss| /
/// h.
inline void expect_gradient(const std::function<double(const Values&)>& loss, const Values& x,
                            const Values& gradient, double h = 1e-5) {
  ASSERT_EQ(x.size(), gradient.size());
  double scale = 1e-3;
  for (const double value : gradient) scale = std::max(scale, std::abs(value));
  Values moved = x;
  for (std::size_t i = 0; i < x.size(); ++i) {
    moved[i] = x[i] + h;
    const double above = loss(moved);
    moved[i] = x[i] - h;
    const double below = loss(moved);
    moved[i] = x[i];
    const double slope = (above - below) / (2 * h);
    ASSERT_NEAR(slope, gradient[i], 1e-6 * scale)
        << "element " << i << ", objectives " << above << " and " << below;
  }
}

}  // namespace invp::testing
