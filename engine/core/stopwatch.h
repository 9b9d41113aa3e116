// Seconds of wall time.
#pragma once

#include <chrono>

namespace invp {

class Stopwatch {
 public:
  /// Since it was made or restarted.
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  void restart() { start_ = Clock::now(); }

  /// seconds(), and restarts.
  [[nodiscard]] double lap() {
    const Clock::time_point now = Clock::now();
    const std::chrono::duration<double> passed = now - start_;
    start_ = now;
    return passed.count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

}  // namespace invp
