#include "tools/options/stop_signal.h"

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <ctime>

namespace invp::cli {

namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP, SIGXCPU, SIGXFSZ};
constexpr std::int64_t kOneRequest = 1'000'000'000;  // nanoseconds

std::atomic<int> noted = 0;
std::atomic<std::int64_t> noted_at = 0;  // nanoseconds
static_assert(std::atomic<std::int64_t>::is_always_lock_free, "a signal's handler may not wait");

void note(int signal) {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  const std::int64_t time = now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
  std::int64_t first = 0;
  if (noted_at.compare_exchange_strong(first, time)) {
    noted = signal;
  } else if (time - first >= kOneRequest) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
}

}  // namespace

StopSignal::StopSignal() {
  noted = 0;
  noted_at = 0;
  std::signal(SIGPIPE, SIG_IGN);
  for (const int signal : kSignals) {
    if (std::signal(signal, note) == SIG_IGN && signal == SIGHUP) std::signal(signal, SIG_IGN);
  }
}

StopSignal::~StopSignal() {
  std::signal(SIGPIPE, SIG_DFL);
  for (const int signal : kSignals) {
    if (std::signal(signal, SIG_DFL) == SIG_IGN) std::signal(signal, SIG_IGN);
  }
}

int StopSignal::received() {
  return noted;
}

}  // namespace invp::cli
