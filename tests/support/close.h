// The one comparison of an operation with its oracle, and the one tolerance.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/values.h"

namespace invp::testing {

/// Largest error allowed for one element of a result whose elements are sums of `reduction_length`
/// terms and whose largest reference element is `scale`:
///   (4 eps(f32) sqrt(reduction_length) + eps(dtype)) * scale
/// Arithmetic is f32 whatever the storage, its rounding errors add up like a random walk, and the
/// storage rounds once.
inline double tolerance(DType dtype, std::int64_t reduction_length, double scale) {
  const double f32 = std::numeric_limits<float>::epsilon();
  const double storage = dtype == DType::kBF16 ? std::ldexp(1.0, -7) : f32;
  const auto length = static_cast<double>(std::max<std::int64_t>(reduction_length, 1));
  return (4 * f32 * std::sqrt(length) + storage) * scale;
}

/// Every element within tolerance() of the reference; NaN and infinities must match exactly. Fails
/// when there is nothing to compare although the reference has elements. `dtype` is the storage the
/// result passed through, if not its own.
inline void expect_close(const Tensor& actual, const Values& reference,
                         std::int64_t reduction_length, DType dtype, double terms = 0) {
  const Values values = values_of(actual);
  ASSERT_EQ(values.size(), reference.size());
  double scale = terms;
  for (const double value : reference) {
    if (std::isfinite(value)) scale = std::max(scale, std::abs(value));
  }
  const double bound = tolerance(dtype, reduction_length, scale);
  std::size_t worst = 0;
  double worst_error = -1;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool same =
        (std::isnan(values[i]) && std::isnan(reference[i])) || values[i] == reference[i];
    double error = same ? 0 : std::abs(values[i] - reference[i]);
    if (!std::isfinite(error)) error = std::numeric_limits<double>::infinity();
    if (error > worst_error) {
      worst = i;
      worst_error = error;
    }
  }
  if (values.empty()) return;
  EXPECT_LE(worst_error, bound) << "element " << worst << " of " << actual.shape() << ": "
                                << values[worst] << ", reference " << reference[worst] << ", "
                                << worst_error / bound << " times the bound";
}

inline void expect_close(const Tensor& actual, const Values& reference,
                         std::int64_t reduction_length = 1) {
  expect_close(actual, reference, reduction_length, actual.dtype());
}

/// Bit-for-bit equality, for determinism. NaN equals NaN.
inline void expect_identical(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.shape(), b.shape());
  ASSERT_EQ(a.dtype(), b.dtype());
  const Tensor left = a.to(kCpu);
  const Tensor right = b.to(kCpu);
  EXPECT_EQ(std::memcmp(left.raw(), right.raw(), left.nbytes()), 0)
      << "tensors of " << a.shape() << " differ";
}

}  // namespace invp::testing
