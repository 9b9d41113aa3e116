#include "engine/core/stop.h"

#include <algorithm>
#include <atomic>
#include <thread>

namespace invp {

namespace {

std::atomic<int> requested = 0;
std::atomic<int> granted = 0;
std::atomic<bool> deferred_now = false;
std::atomic<bool> unsaved = false;
static_assert(std::atomic<int>::is_always_lock_free, "a signal's handler may not wait");

}  // namespace

void request_stop(int signal) noexcept {
  int none = 0;
  requested.compare_exchange_strong(none, signal);
}

int stop_signal() noexcept {
  return deferred_now ? granted : requested;
}

void forget_stop() noexcept {
  requested = 0;
  granted = 0;
}

void defer_stops(bool deferred) noexcept {
  deferred_now = deferred;
}

int wished_stop() noexcept {
  return requested;
}

void grant_stop(int signal) noexcept {
  requested = signal;
  granted = signal;
}

void check_stop() {
  if (const int signal = stop_signal(); signal != 0) throw Stopped{signal};
}

void set_unsaved_work(bool there_is) noexcept {
  unsaved = there_is;
}

bool unsaved_work() noexcept {
  return unsaved || (deferred_now && granted == 0);
}

void sleep_or_stop(std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  for (auto now = end - time; now < end; now = std::chrono::steady_clock::now()) {
    check_stop();
    std::this_thread::sleep_for(
        std::min<std::chrono::nanoseconds>(end - now, std::chrono::nanoseconds(kStopLook)));
  }
  check_stop();
}

}  // namespace invp
