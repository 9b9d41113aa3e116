#include "tools/options/stop_signal.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <string_view>

#include "engine/core/stop.h"

namespace invp::cli {

namespace {

using namespace std::chrono_literals;

constexpr std::array kStops = {SIGINT, SIGTERM, SIGHUP, SIGXCPU, SIGUSR1};
constexpr std::array kFailedWrites = {SIGPIPE, SIGXFSZ};
constexpr std::int64_t kOneRequest = 1'000'000'000;  // nanoseconds
/// For tidying up after a stop, without unsaved work.
constexpr auto kTidying = 4s;

std::atomic<std::int64_t> first_at = 0;  // nanoseconds; 0: no signal came
static_assert(std::atomic<std::int64_t>::is_always_lock_free, "a signal's handler may not wait");
std::atomic<bool> leaving = false;
sem_t wake;  // of the watcher; posting it is one of the few things that a handler may do

void note(int signal) {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  const std::int64_t time = now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
  std::int64_t first = 0;
  if (first_at.compare_exchange_strong(first, time)) {
    request_stop(signal);
    sem_post(&wake);
  } else if (time - first >= kOneRequest && signal != SIGXCPU) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
}

/// Says why, unless nobody takes it.
[[noreturn]] void leave() {
  constexpr std::string_view kWhy =
      "invp: stopped; some work did not end in time (a read of a dead disk?) and is left behind\n";
  pollfd error{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (poll(&error, 1, 0) == 1 && (error.revents & POLLOUT) != 0) [[maybe_unused]]
    const ssize_t written = write(STDERR_FILENO, kWhy.data(), kWhy.size());
  std::_Exit(128 + stop_signal());
}

}  // namespace

StopSignal::StopSignal() {
  forget_stop();
  first_at = 0;
  leaving = false;
  sem_init(&wake, 0, 0);
  watcher_ = std::thread([this] { watch(); });
  for (const int signal : kFailedWrites) std::signal(signal, SIG_IGN);
  for (const int signal : kStops) {
    if (std::signal(signal, note) == SIG_IGN && signal == SIGHUP) std::signal(signal, SIG_IGN);
  }
}

StopSignal::~StopSignal() {
  for (const int signal : kFailedWrites) std::signal(signal, SIG_DFL);
  for (const int signal : kStops) {
    if (std::signal(signal, SIG_DFL) == SIG_IGN) std::signal(signal, SIG_IGN);
  }
  leaving = true;
  sem_post(&wake);
  watcher_.join();
  sem_destroy(&wake);
}

void StopSignal::watch() {
  while (sem_wait(&wake) != 0) {
  }
  auto since = std::chrono::steady_clock::now();
  while (!leaving) {
    const auto now = std::chrono::steady_clock::now();
    if (unsaved_work()) since = now;
    if (now - since >= kTidying) leave();
    std::this_thread::sleep_for(20ms);
  }
}

}  // namespace invp::cli
