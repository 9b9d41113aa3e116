// The two reductions that softmax and cross entropy share, over one row of logits.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace invp::cpu {

template <class T>
float row_max(const T* x, std::int64_t classes) {
  float largest = -std::numeric_limits<float>::infinity();
  for (std::int64_t c = 0; c < classes; ++c) largest = std::max(largest, static_cast<float>(x[c]));
  return largest;
}

/// log sum exp(x), without overflow. NaN if any x is.
template <class T>
float row_log_sum_exp(const T* x, std::int64_t classes) {
  const float largest = row_max(x, classes);
  float total = 0;
  for (std::int64_t c = 0; c < classes; ++c) total += std::exp(static_cast<float>(x[c]) - largest);
  return largest + std::log(total);
}

}  // namespace invp::cpu
