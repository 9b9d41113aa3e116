// A pool of threads that makes items ahead of their consumer and hands them out in order. It does
// not know what the items are.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace invp {

/// Which items come out, and in which order, does not depend on the number of threads. All methods
/// are for one thread, the consumer's.
class OrderedWorkers {
 public:
  /// Items are made in slots, which the caller owns: [0, slots()). An item has one or more parts,
  /// which several workers may make at the same time.
  struct Work {
    /// Prepares the slot for the item at `position`; returns the number of its parts. Called by
    /// the consumer's thread when no worker uses the slot.
    std::function<std::int64_t(std::int64_t position, std::size_t slot)> begin;
    /// Makes a part. A worker, of [0, max(1, threads)), makes one part at a time. No part is made
    /// by the consumer's thread, which a read that never returns must not hold.
    std::function<void(std::size_t slot, std::int64_t part, std::size_t worker)> make;
  };
  struct Item {
    std::int64_t position;
    std::size_t slot;  ///< the consumer's until it calls next(), stop() or start()
  };

  /// Up to `ahead` items are made while the consumer uses one. With 0 threads, one thread makes
  /// each item while next() waits for it. Throws Error if the threads cannot be started.
  OrderedWorkers(int threads, int ahead, Work work);
  ~OrderedWorkers();
  OrderedWorkers(const OrderedWorkers&) = delete;
  OrderedWorkers& operator=(const OrderedWorkers&) = delete;

  std::size_t slots() const { return slots_.size(); }

  /// Gives up the items that are not handed out yet. No worker is busy when it returns. Throws
  /// Stopped (engine/core/stop.h) if that is asked for while it waits, as next() does; a worker may
  /// then be busy for ever, and the destructor would wait for it.
  void stop();
  /// Stops, then begins with the item at `first`; the last one is at `end - 1`.
  void start(std::int64_t first, std::int64_t end);
  /// Waits for the next item. Nothing at the end. If making the item threw, throws the exception
  /// of its first part that did; start() is then needed to go on.
  std::optional<Item> next();

 private:
  struct Slot {
    std::int64_t parts = 0;
    std::int64_t parts_left = 0;   ///< that are not made yet
    std::int64_t failed_part = 0;  ///< the first that threw `failure`
    std::exception_ptr failure;
  };

  std::size_t slot_of(std::int64_t position) const {
    return static_cast<std::size_t>(position) % slots_.size();
  }
  void begin_items();
  void run(std::size_t worker);
  void end_threads();

  const Work work_;
  std::vector<Slot> slots_;

  // The consumer's.
  std::int64_t next_ = 0;  ///< position to hand out
  std::int64_t end_ = 0;

  std::mutex mutex_;  // guards what follows, and the slots from begun_ down
  std::condition_variable work_there_;
  std::condition_variable progress_;
  std::int64_t begun_ = 0;   ///< items below this have a slot
  std::int64_t taking_ = 0;  ///< the item whose parts are taken now
  std::int64_t taking_part_ = 0;
  int busy_ = 0;  ///< workers
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace invp
