#include "engine/core/staging_ring.h"

#include <gtest/gtest.h>

#include <deque>

#include "engine/core/random.h"

namespace invp {
namespace {

constexpr std::size_t kFull = StagingRing::kFull;

TEST(StagingRing, TakesInARow) {
  StagingRing ring(1024);
  EXPECT_EQ(ring.take(1), 0u);
  EXPECT_EQ(ring.take(257), 256u);  // places begin at multiples of 256
  EXPECT_EQ(ring.take(256), 768u);
  EXPECT_EQ(ring.take(1), kFull);
  EXPECT_EQ(ring.places(), 3u);
}

TEST(StagingRing, ComesRoundToWhatWasGivenBack) {
  StagingRing ring(1024);
  ring.take(512);
  ring.take(256);
  EXPECT_EQ(ring.take(512), kFull);  // neither after the newest nor before the oldest
  ring.give_back_oldest();
  EXPECT_EQ(ring.take(512), 0u);
  EXPECT_EQ(ring.take(1), kFull);  // the 256 bytes at the end wait until the ring comes round
  ring.give_back_oldest();
  EXPECT_EQ(ring.take(512), 512u);
}

TEST(StagingRing, ServesItsWholeCapacityWhenEmpty) {
  StagingRing ring(1024);
  ring.take(300);
  EXPECT_EQ(ring.take(1024), kFull);
  ring.give_back_oldest();
  EXPECT_EQ(ring.take(1024), 0u);
  EXPECT_EQ(ring.take(1), kFull);
  ring.give_back_oldest();
  EXPECT_EQ(ring.take(1025), kFull);
  EXPECT_EQ(ring.places(), 0u);
}

/// The same by looking at every place that is held.
class NaiveRing {
 public:
  explicit NaiveRing(std::size_t capacity) : capacity_(capacity) {}

  std::size_t take(std::size_t bytes) {
    const std::size_t behind_newest = held_.empty() ? 0 : held_.back().end;
    for (const std::size_t begin : {behind_newest, std::size_t{0}}) {
      if (!fits(begin, begin + bytes)) continue;
      held_.push_back({begin, begin + (bytes + 255) / 256 * 256});
      return begin;
    }
    return kFull;
  }
  void give_back_oldest() { held_.pop_front(); }
  bool empty() const { return held_.empty(); }

 private:
  struct Held {
    std::size_t begin, end;
  };
  bool fits(std::size_t begin, std::size_t end) const {
    if (end > capacity_) return false;
    for (const Held& held : held_) {
      if (begin < held.end && held.begin < end) return false;
    }
    return true;
  }
  std::size_t capacity_;
  std::deque<Held> held_;
};

TEST(StagingRing, RandomTrafficIsServedLikeTheNaiveModel) {
  for (const std::size_t capacity : {256, 1024, 4096, 65536}) {
    Random random(capacity, Purpose::kBenchmark);
    StagingRing ring(capacity);
    NaiveRing model(capacity);
    int served = 0;
    int refused = 0;
    for (int step = 0; step < 20'000; ++step) {
      if (model.empty() || random.uniform() < 0.6) {
        const auto bytes = static_cast<std::size_t>(
            random.integer(1, static_cast<std::int64_t>(capacity / (step % 3 + 1))));
        const std::size_t place = ring.take(bytes);
        ASSERT_EQ(place, model.take(bytes)) << "capacity " << capacity << ", step " << step;
        ++(place == kFull ? refused : served);
      } else {
        ring.give_back_oldest();
        model.give_back_oldest();
      }
    }
    EXPECT_GT(served, 5000);
    EXPECT_GT(refused, 1000);
  }
}

}  // namespace
}  // namespace invp
