#include "engine/core/parallel.h"

#include <atomic>
#include <cstdlib>

#include "engine/core/cpu_share.h"

namespace invp {

namespace {

/// OMP_NUM_THREADS, which OpenMP has read by itself, or else every core.
int default_threads() {
  // What OpenMP answers before anybody has told it otherwise.
  static const int from_environment = omp_get_max_threads();
  const char* const wanted = std::getenv("OMP_NUM_THREADS");
  return wanted != nullptr && *wanted != '\0' ? from_environment : usable_cores();
}

std::atomic<int>& thread_setting() {
  static std::atomic<int> threads{std::min(default_threads(), omp_get_thread_limit())};
  return threads;
}

}  // namespace

void set_num_threads(int threads) {
  // oneDNN's kernels wait for every thread that they asked for: what OpenMP would not start must
  // not be asked for. OMP_THREAD_LIMIT, OMP_DYNAMIC and OMP_MAX_ACTIVE_LEVELS make it start fewer.
  const int by_default = default_threads();
  omp_set_dynamic(0);
  omp_set_max_active_levels(1);
  const int resolved = std::min(threads > 0 ? threads : by_default, omp_get_thread_limit());
  thread_setting() = resolved;
  omp_set_num_threads(resolved);
}

int num_threads() {
  return thread_setting();
}

}  // namespace invp
