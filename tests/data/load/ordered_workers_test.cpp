// A pool whose items are numbers: their order, how far ahead they are made, what happens when
// making one throws, and that it can be stopped and started anywhere.
#include "data/load/ordered_workers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <future>
#include <set>
#include <stdexcept>
#include <thread>

#include "engine/core/stop.h"

namespace invp {
namespace {

/// The item at position p has 1 + p % 3 parts; part q adds 100 p + q to its slot.
class Sums {
 public:
  Sums(int threads, int ahead, std::set<std::int64_t> failing = {}, int milliseconds = 0)
      : failing_(std::move(failing)),
        pause_(milliseconds),
        slots_(static_cast<std::size_t>(ahead) + 1),
        working_(static_cast<std::size_t>(std::max(1, threads))),
        pool(threads, ahead,
             {[this](std::int64_t position, std::size_t slot) { return begin(position, slot); },
              [this](std::size_t slot, std::int64_t part, std::size_t worker) {
                make(slot, part, worker);
              }}) {}

  static std::int64_t parts(std::int64_t position) { return 1 + position % 3; }
  static std::int64_t sum(std::int64_t position) {
    const std::int64_t n = parts(position);
    return 100 * position * n + n * (n - 1) / 2;
  }

  /// Takes up to `most` items, expecting those from `first` on; returns how many came.
  std::int64_t take(std::int64_t first, std::int64_t most) {
    std::int64_t taken = 0;
    for (; taken < most; ++taken) {
      const auto item = pool.next();
      if (!item) break;
      EXPECT_EQ(item->position, first + taken);
      EXPECT_EQ(slots_.at(item->slot).position, item->position);
      EXPECT_EQ(slots_[item->slot].sum, sum(item->position));
    }
    return taken;
  }

  std::atomic<int> begun = 0;

 private:
  struct Slot {
    std::int64_t position = -1;
    std::atomic<std::int64_t> sum = 0;
  };

  std::int64_t begin(std::int64_t position, std::size_t slot) {
    ++begun;
    slots_[slot].position = position;
    slots_[slot].sum = 0;
    return parts(position);
  }
  void make(std::size_t slot, std::int64_t part, std::size_t worker) {
    EXPECT_FALSE(working_.at(worker).exchange(true)) << "two parts at once by one worker";
    if (pause_.count() > 0) std::this_thread::sleep_for(pause_);
    const std::int64_t id = 100 * slots_[slot].position + part;
    slots_[slot].sum += id;
    working_[worker] = false;
    if (failing_.contains(id)) throw std::out_of_range(std::to_string(id));
  }

  const std::set<std::int64_t> failing_;  ///< 100 p + q
  const std::chrono::milliseconds pause_;
  std::vector<Slot> slots_;
  std::vector<std::atomic<bool>> working_;

 public:
  OrderedWorkers pool;
};

TEST(OrderedWorkers, HandsOutItemsInOrder) {
  for (const int threads : {0, 1, 2, 16}) {
    for (const int ahead : {1, 2, 9}) {
      Sums sums(threads, ahead);
      EXPECT_EQ(sums.take(0, 100), 0) << "nothing before start()";
      sums.pool.start(0, 40);
      EXPECT_EQ(sums.take(0, 100), 40);
      EXPECT_EQ(sums.take(0, 100), 0) << "it stays at the end";
    }
  }
}

TEST(OrderedWorkers, StartsAnywhereAgainAndAgain) {
  for (const int threads : {0, 3}) {
    Sums sums(threads, 2, {}, 1);
    for (const std::int64_t taken : {0, 1, 2, 5}) {
      sums.pool.start(7, 30);
      EXPECT_EQ(sums.take(7, taken), taken);
      sums.pool.start(11, 11);
      EXPECT_EQ(sums.take(11, 1), 0);
      sums.pool.start(12, 20);
      EXPECT_EQ(sums.take(12, 100), 8);
      sums.pool.start(3, 30);
      sums.pool.stop();
      EXPECT_EQ(sums.take(3, 1), 0);
    }
  }
}

TEST(OrderedWorkers, MakesNoMoreAheadThanAllowed) {
  Sums sums(4, 2);
  sums.pool.start(0, 100);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(sums.begun, 3);
  EXPECT_EQ(sums.pool.slots(), 3u);
  EXPECT_EQ(sums.take(0, 1), 1);
  EXPECT_EQ(sums.begun, 3) << "the first item is in use";
  EXPECT_EQ(sums.take(1, 1), 1);
  EXPECT_EQ(sums.begun, 4);
}

TEST(OrderedWorkers, ThrowsWhereTheItemThatFailedWouldComeOut) {
  for (const int threads : {0, 1, 8}) {
    Sums sums(threads, 4, {501, 502, 800});
    sums.pool.start(0, 12);
    EXPECT_EQ(sums.take(0, 5), 5);
    try {
      sums.pool.next();
      ADD_FAILURE() << "item 5 came out";
    } catch (const std::out_of_range& error) {
      EXPECT_STREQ(error.what(), "501") << "of the two parts, the first";
    }
    EXPECT_FALSE(sums.pool.next()) << "what was left is given up";
    sums.pool.start(6, 12);
    EXPECT_EQ(sums.take(6, 2), 2);
    EXPECT_THROW(sums.pool.next(), std::out_of_range);
    sums.pool.start(9, 12);
    EXPECT_EQ(sums.take(9, 100), 3);
  }
}

// As of a read that does not return.
TEST(OrderedWorkers, NextHearsAStopWhileAWorkerHangs) {
  for (const int threads : {0, 1, 3}) {
    std::promise<void> release;
    std::shared_future<void> released = release.get_future().share();
    OrderedWorkers pool(threads, 2,
                        {[](std::int64_t, std::size_t) { return 1; },
                         [&](std::size_t, std::int64_t, std::size_t) { released.wait(); }});
    pool.start(0, 9);
    std::thread later([] {
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      request_stop(SIGTERM);
    });
    EXPECT_THROW(pool.next(), Stopped);
    EXPECT_THROW(pool.next(), Stopped);
    EXPECT_THROW(pool.stop(), Stopped);
    later.join();
    release.set_value();
    forget_stop();
  }
}

TEST(OrderedWorkers, EndsAtAnyMoment) {
  for (const int threads : {1, 8}) {
    for (std::int64_t taken = 0; taken < 5; ++taken) {
      Sums sums(threads, 3, {}, 1);
      sums.pool.start(0, 50);
      EXPECT_EQ(sums.take(0, taken), taken);
    }
  }
}

TEST(OrderedWorkers, ABeginThatThrowsReachesTheConsumer) {
  for (const int threads : {0, 2}) {
    std::atomic<int> made = 0;
    OrderedWorkers pool(threads, 1,
                        {[](std::int64_t position, std::size_t) -> std::int64_t {
                           if (position == 2) throw std::length_error("no room");
                           return 1;
                         },
                         [&](std::size_t, std::int64_t, std::size_t) { ++made; }});
    pool.start(0, 4);
    int items = 0;
    EXPECT_THROW(
        {
          while (pool.next()) ++items;
        },
        std::length_error);
    EXPECT_LE(items, 2);
    pool.start(3, 4);
    EXPECT_TRUE(pool.next());
    EXPECT_FALSE(pool.next());
  }
}

}  // namespace
}  // namespace invp
