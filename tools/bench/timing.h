// How long something takes: warm-up, repeats, median and spread.
#pragma once

#include <functional>
#include <string>

#include "engine/core/device.h"
#include "tools/options/command.h"

namespace invp::cli {

/// Milliseconds.
struct Timing {
  double median = 0;
  double least = 0;
  double most = 0;
};

/// How often something is done, and where: the clock starts when the device is idle and stops when
/// it is idle again.
struct Repeats {
  Device device;
  int warmups = 2;  ///< unmeasured
  int measured = 5;
};
/// `prepare` runs before each `body`, unmeasured.
Timing measure(const Repeats& repeats, const std::function<void()>& body,
               const std::function<void()>& prepare = {});

/// "12.3", "0.0412": three figures.
std::string format_ms(double ms);
/// "12.3 .. 14.1"
std::string format_spread(const Timing& timing);

/// The keys every benchmark reports: ms, ms_min, ms_max, peak_memory_bytes (of the device's
/// tensors, since the last reset).
Results timing_results(const Timing& timing, Device device);

}  // namespace invp::cli
