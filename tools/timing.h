// How long something takes: warm-up, repeats, median and spread.
#pragma once

#include <functional>
#include <string>

#include "tools/command.h"

namespace invp {

/// Milliseconds.
struct Timing {
  double median = 0;
  double least = 0;
  double most = 0;
};

/// Runs `body` `warmups` times unmeasured, then `repeats` times; `prepare` before each, unmeasured.
Timing measure(int warmups, int repeats, const std::function<void()>& body,
               const std::function<void()>& prepare = {});

/// "12.3", "0.0412": three figures.
std::string format_ms(double ms);
/// "12.3 .. 14.1"
std::string format_spread(const Timing& timing);

/// The keys every benchmark reports: ms, ms_min, ms_max, peak_memory_bytes (of tensors, since the
/// last reset).
Results timing_results(const Timing& timing);

}  // namespace invp
