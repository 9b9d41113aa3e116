// The one token by which the process is asked to end. Every wait and every long loop looks at it,
// so that a stop is heard whatever the program is doing. The program sets it from signals
// (tools/options/stop_signal.h).
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace invp {

/// Thrown where work is given up because of a stop. No std::exception: nothing has failed, and code
/// that takes an Error for a broken file must not take this for one.
struct Stopped {
  int signal;
};

/// Asks for a stop; `signal` is not 0. The first request counts. May be called by a signal handler.
void request_stop(int signal) noexcept;
/// The signal of the stop that was asked for; 0 if none was.
int stop_signal() noexcept;
/// Forgets the request: the start of a program, and tests.
void forget_stop() noexcept;
/// Throws Stopped if a stop was asked for.
void check_stop();

/// While stops are deferred, a request is a wish only: several processes that work together have to
/// agree on it. stop_signal() is what was granted, and a process with a wish does not end by
/// itself.
void defer_stops(bool deferred) noexcept;
/// The signal of a request, deferred or not; 0 if there was none.
int wished_stop() noexcept;
/// Asks for a stop that all have agreed on.
void grant_stop(int signal) noexcept;

/// Whether something would be lost if the process ended now. Whoever sets it saves the work when a
/// stop is asked for; while it is not set, the process may end at any moment after that.
void set_unsaved_work(bool there_is) noexcept;
bool unsaved_work() noexcept;

/// How long a wait may last before it looks at the token again.
constexpr std::chrono::milliseconds kStopLook{50};

/// Waits until `ready` is true. Throws Stopped, with the lock held, if a stop is asked for first.
template <class Ready>
void wait_or_stop(std::condition_variable& condition, std::unique_lock<std::mutex>& lock,
                  const Ready& ready) {
  while (!condition.wait_for(lock, kStopLook, ready)) check_stop();
}

/// Sleeps. Throws Stopped as soon as a stop is asked for.
void sleep_or_stop(std::chrono::milliseconds time);

}  // namespace invp
