// How long the steps of a run take.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

#include "engine/comm/watch.h"

namespace invp {

class Pace {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// All ranks have begun a step.
  void step_at(Time now);
  /// Twenty times the median of the last hundred steps; 0 until there are five.
  Seconds patience() const;

 private:
  static constexpr std::size_t kKept = 100;
  std::optional<Time> last_;
  std::vector<Seconds> steps_;
  std::size_t next_ = 0;  ///< which of them is the oldest, once all are there
};

}  // namespace invp
