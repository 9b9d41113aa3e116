#include "data/sets/patient_fetch.h"

#include <algorithm>

#include "engine/core/stop.h"
#include "engine/core/stopwatch.h"
#include "engine/core/text.h"
#include "engine/files/file_reader.h"

namespace invp {

void fetch_patiently(const Dataset& dataset, std::int64_t index, Sample& sample,
                     std::chrono::milliseconds patience) {
  using namespace std::chrono_literals;
  const Stopwatch stopwatch;
  std::chrono::milliseconds pause = std::min(patience / 8, 250ms);
  for (int tries = 1;; ++tries) {
    try {
      return dataset.fetch(index, sample);
    } catch (const SystemError& error) {
      if (!error.may_recover()) throw;
      const double left = std::chrono::duration<double>(patience).count() - stopwatch.seconds();
      if (left <= 0) {
        throw SystemError(message(error.what(), "; tried ", tries, " times in ",
                                  format_duration(stopwatch.seconds())));
      }
    }
    sleep_or_stop(pause);
    pause *= 2;
  }
}

}  // namespace invp
