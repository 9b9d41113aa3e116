#include "tools/bench/timing.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "engine/core/memory.h"
#include "engine/core/stop.h"
#include "engine/core/stopwatch.h"
#include "invp/report/text/table.h"

namespace invp::cli {

Timing measure(const Repeats& repeats, const std::function<void()>& body,
               const std::function<void()>& prepare) {
  std::vector<double> times;
  for (int i = 0; i < repeats.warmups + repeats.measured; ++i) {
    check_stop();
    if (prepare) prepare();
    synchronize(repeats.device);
    const Stopwatch stopwatch;
    body();
    synchronize(repeats.device);
    if (i >= repeats.warmups) times.push_back(1e3 * stopwatch.seconds());
  }
  std::sort(times.begin(), times.end());
  const std::size_t middle = times.size() / 2;
  const double median =
      times.size() % 2 == 1 ? times[middle] : (times[middle - 1] + times[middle]) / 2;
  return {median, times.front(), times.back()};
}

std::string format_ms(double ms) {
  return formatted(ms < 0.9995 ? "%.4f" : ms < 9.995 ? "%.2f" : ms < 99.95 ? "%.1f" : "%.0f", ms);
}

std::string format_spread(const Timing& timing) {
  return format_ms(timing.least) + " .. " + format_ms(timing.most);
}

Results timing_results(const Timing& timing, Device device) {
  return {{"ms", timing.median},
          {"ms_min", timing.least},
          {"ms_max", timing.most},
          {"peak_memory_bytes", memory_stats(device).peak}};
}

}  // namespace invp::cli
