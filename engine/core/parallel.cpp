#include "engine/core/parallel.h"

#include <atomic>
#include <cstdlib>
#include <future>
#include <system_error>
#include <thread>
#include <vector>

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

/// How many of these threads the system starts, this one included: a limit on processes (ulimit -u,
/// a container's) may forbid some, and OpenMP ends the program where it cannot start one.
int startable(int threads) {
  std::vector<std::thread> started;
  std::promise<void> end;
  const std::shared_future<void> ended = end.get_future().share();
  try {
    while (std::ssize(started) < threads - 1) started.emplace_back([&ended] { ended.wait(); });
  } catch (const std::system_error&) {
    // as many as there are
  }
  end.set_value();
  for (std::thread& thread : started) thread.join();
  return static_cast<int>(std::ssize(started)) + 1;
}

/// The size of the team that OpenMP makes of so many threads.
int team_of(int threads) {
  int team = 1;
#pragma omp parallel num_threads(threads)
#pragma omp single
  team = omp_get_num_threads();
  return team;
}

}  // namespace

void set_num_threads(int threads) {
  // oneDNN's kernels wait for every thread that they asked for: what OpenMP would not start must
  // not be asked for. OMP_THREAD_LIMIT, OMP_DYNAMIC and OMP_MAX_ACTIVE_LEVELS make it start fewer.
  const int by_default = default_threads();
  omp_set_dynamic(0);
  omp_set_max_active_levels(1);
  const int wanted = std::min(threads > 0 ? threads : by_default, omp_get_thread_limit());
  const int resolved = std::max(1, team_of(startable(wanted)));
  thread_setting() = resolved;
  omp_set_num_threads(resolved);
}

int num_threads() {
  return thread_setting();
}

}  // namespace invp
