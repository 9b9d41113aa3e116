#include "engine/comm/pace.h"

#include <algorithm>

namespace invp {

void Pace::step_at(Time now) {
  if (last_) {
    const Seconds took = now - *last_;
    if (steps_.size() < kKept)
      steps_.push_back(took);
    else
      steps_[next_++ % kKept] = took;
  }
  last_ = now;
}

Seconds Pace::patience() const {
  constexpr std::size_t kFewest = 5;
  constexpr double kTimes = 20;
  if (steps_.size() < kFewest) return Seconds(0);
  std::vector<Seconds> sorted = steps_;
  const auto middle = sorted.begin() + std::ssize(sorted) / 2;
  std::nth_element(sorted.begin(), middle, sorted.end());
  return kTimes * *middle;
}

}  // namespace invp
