#include "engine/comm/recorder.h"

#include <algorithm>

#include "engine/core/error.h"
#include "engine/core/text.h"

namespace invp {

using Clock = std::chrono::steady_clock;

void Recorder::entered(const CollectiveCall& call, std::int64_t step) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[count_++ % kEntries];
  entry.step = step;
  entry.call.assign(call.operation).append(" ").append(call.name);
  entry.bytes = call.bytes;
  entry.dtype = call.dtype;
  entry.begin = Clock::now();
  entry.took = Seconds(-1);
}

void Recorder::left() {
  const std::lock_guard lock(mutex_);
  if (count_ == 0) return;
  Entry& entry = entries_[(count_ - 1) % kEntries];
  entry.took = Clock::now() - entry.begin;
}

std::uint64_t Recorder::count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

bool Recorder::in_call() const {
  const std::lock_guard lock(mutex_);
  return count_ > 0 && newest().took.count() < 0;
}

std::string Recorder::last() const {
  const std::lock_guard lock(mutex_);
  return count_ == 0 ? "" : newest().call;
}

LastCalls Recorder::last_calls() const {
  const std::lock_guard lock(mutex_);
  LastCalls told{.in_call = count_ > 0 && newest().took.count() < 0, .calls = {}};
  const std::uint64_t kept = std::min<std::uint64_t>({count_, kEntries, LastCalls::kTold});
  for (std::uint64_t i = count_ - kept; i < count_; ++i) {
    const Entry& entry = entries_[i % kEntries];
    told.calls.emplace_back(i + 1, message(entry.call, ", ", entry.bytes, " bytes of ", entry.dtype,
                                           ", step ", entry.step));
  }
  return told;
}

std::string Recorder::text(std::size_t most) const {
  const std::lock_guard lock(mutex_);
  std::string lines;
  const std::uint64_t kept = std::min<std::uint64_t>({count_, kEntries, most});
  for (std::uint64_t i = count_ - kept; i < count_; ++i) {
    const Entry& entry = entries_[i % kEntries];
    const bool done = entry.took.count() >= 0;
    const Seconds took = done ? entry.took : Seconds(Clock::now() - entry.begin);
    lines += message(i + 1, " step ", entry.step, ": ", entry.call, ", ", entry.bytes, " bytes of ",
                     entry.dtype, done ? ", took " : ", not done after ",
                     formatted("%.6f s\n", took.count()));
  }
  return lines;
}

}  // namespace invp
