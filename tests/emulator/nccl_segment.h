// What the ranks of an emulated communicator share: a segment of POSIX shared memory.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace emulator {

inline constexpr int kMostRanks = 16;

/// A call as a rank has made it. All ranks' must be the same; sends and receives must pair up.
struct CallText {
  std::array<char, 160> words{};  ///< "all_reduce of 100 f32, sum", "sends and receives"
};

struct Message {
  int peer = 0;
  std::uint64_t bytes = 0;
};

/// What one rank writes and all read.
struct Slot {
  static constexpr int kMostMessages = 64;
  static constexpr int kMostSplits = 64;

  std::atomic<int> joined;  ///< 1 once it has come
  std::atomic<int> device;
  std::atomic<std::uint64_t> published;  ///< rounds whose part lies in its buffer
  std::atomic<std::uint64_t> consumed;   ///< rounds of which it has read all parts
  std::atomic<std::uint64_t> length;     ///< bytes that it gives in this call
  CallText call;
  std::atomic<int> messages;
  std::array<Message, kMostMessages> sent;
  std::atomic<int> splits;
  std::array<int, kMostSplits> colors;
};

class Segment {
 public:
  static constexpr std::size_t kBuffer = std::size_t{1} << 20;

  /// Throws std::runtime_error.
  Segment(std::string name, int ranks);
  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  int ranks() const { return ranks_; }
  const std::string& name() const { return name_; }
  Slot& slot(int rank) const { return shared_->slots[static_cast<std::size_t>(rank)]; }
  std::byte* buffer(int rank) const {
    return reinterpret_cast<std::byte*>(shared_) + sizeof(Shared) +
           static_cast<std::size_t>(rank) * kBuffer;
  }
  /// Whether all ranks have reached it.
  template <class Counter>
  bool all(Counter Slot::*counter, std::uint64_t value) const {
    for (int rank = 0; rank < ranks_; ++rank)
      if (static_cast<std::uint64_t>((slot(rank).*counter).load()) < value) return false;
    return true;
  }
  /// No longer found by its name.
  void unlink();

 private:
  struct Shared {
    std::array<Slot, kMostRanks> slots;
  };
  std::size_t bytes() const { return sizeof(Shared) + static_cast<std::size_t>(ranks_) * kBuffer; }

  std::string name_;
  int ranks_;
  Shared* shared_ = nullptr;
};

}  // namespace emulator
