// Indices of scores in the order of top_scores.h, on the CPU.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace invp::cpu {

/// The first `most` of the scores[0, count) that are numbers.
inline std::vector<std::int32_t> in_order(const float* scores, std::int64_t count,
                                          std::int64_t most) {
  std::vector<std::int32_t> order;
  order.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    if (!std::isnan(scores[i])) order.push_back(static_cast<std::int32_t>(i));
  }
  const auto before = [scores](std::int32_t a, std::int32_t b) {
    return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
  };
  if (most < std::ssize(order)) {
    std::nth_element(order.begin(), order.begin() + most, order.end(), before);
    order.resize(static_cast<std::size_t>(most));
  }
  std::sort(order.begin(), order.end(), before);
  return order;
}

}  // namespace invp::cpu
