// The last collective calls of a rank, in memory: what is looked at when ranks have lost each
// other.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <string>

#include "engine/comm/last_calls.h"
#include "engine/comm/watch.h"

namespace invp {

/// Used by the rank's main thread and read by the one that keeps contact.
class Recorder {
 public:
  static constexpr std::size_t kEntries = 256;

  void entered(const CollectiveCall& call, std::int64_t step);
  void left();

  /// How many calls were entered, and whether the last has not been left.
  std::uint64_t count() const;
  bool in_call() const;
  /// "all_reduce gradients", of the last call.
  std::string last() const;
  /// One line for each of the last `most` calls: number, step, call, bytes, dtype, state, and the
  /// seconds it took, or has taken so far.
  std::string text(std::size_t most = kEntries) const;
  /// To be compared with those of other ranks.
  LastCalls last_calls() const;

 private:
  struct Entry {
    std::int64_t step = 0;
    std::string call;
    std::int64_t bytes = 0;
    DType dtype = DType::kF32;
    std::chrono::steady_clock::time_point begin;
    Seconds took{-1};  ///< negative: not done
  };
  const Entry& newest() const { return entries_[(count_ - 1) % kEntries]; }

  mutable std::mutex mutex_;
  std::array<Entry, kEntries> entries_;
  std::uint64_t count_ = 0;
};

}  // namespace invp
