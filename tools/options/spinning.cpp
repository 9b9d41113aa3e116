#include "tools/options/spinning.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace invp::cli {

namespace {

struct Setting {
  const char* name;
  const char* value;
};

// Turns of libgomp's loop and milliseconds of libomp's. benchmarks/spinning measures the first.
constexpr std::array<Setting, 2> kSpinning = {{{"GOMP_SPINCOUNT", "4000"}, {"KMP_BLOCKTIME", "0"}}};

bool is_set(const char* name) {
  return std::getenv(name) != nullptr;
}

}  // namespace

void limit_spinning(char** arguments) {
  const bool decided =
      is_set("OMP_WAIT_POLICY") ||
      std::any_of(kSpinning.begin(), kSpinning.end(), [](auto& s) { return is_set(s.name); });
  if (decided) return;
  for (const Setting& setting : kSpinning) setenv(setting.name, setting.value, 0);
  // Where there is no /proc, this returns and the program goes on as it is.
  execv("/proc/self/exe", arguments);
}

}  // namespace invp::cli
