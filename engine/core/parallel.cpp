#include "engine/core/parallel.h"

#include <sched.h>

#include <atomic>

namespace invp {

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

namespace {

std::atomic<int>& thread_setting() {
  static std::atomic<int> threads{usable_cores()};
  return threads;
}

}  // namespace

void set_num_threads(int threads) {
  const int resolved = threads > 0 ? threads : usable_cores();
  thread_setting() = resolved;
  omp_set_num_threads(resolved);
}

int num_threads() {
  return thread_setting();
}

}  // namespace invp
