#include "engine/core/memory.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "engine/core/block_cache.h"
#include "engine/core/random.h"
#include "engine/core/tensor.h"
#include "tests/support/devices.h"

namespace invp::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class MemoryTest : public DeviceTest {
 protected:
  static MemoryStats stats() { return memory_stats(device()); }
  static std::int64_t live(MemoryUse use) {
    return stats().live_by_use[static_cast<std::size_t>(use)];
  }
  static Tensor floats(std::int64_t n) { return Tensor::empty({n}, DType::kF32, device()); }
};
RUN_ON_EACH_DEVICE(MemoryTest);

TEST_P(MemoryTest, CountsLiveAndPeakBytesExactly) {
  const MemoryStats before = stats();
  reset_peak_memory(device());
  {
    const Tensor a = floats(1000);
    const Tensor b = Tensor::empty({3}, DType::kU8, device());
    EXPECT_EQ(stats().live - before.live, 4003);
    const Tensor view = a.view({10, 100});  // shares, costs nothing
    EXPECT_EQ(stats().live - before.live, 4003);
  }
  EXPECT_EQ(stats().live, before.live);
  EXPECT_EQ(stats().peak - before.live, 4003);
}

TEST_P(MemoryTest, CountsByUse) {
  const std::int64_t before = live(MemoryUse::kBank);
  Tensor held;
  {
    const MemoryScope scope(MemoryUse::kBank);
    held = floats(10);
  }
  EXPECT_EQ(live(MemoryUse::kBank) - before, 40);
  const Tensor other = floats(10);
  EXPECT_EQ(live(MemoryUse::kBank) - before, 40);
  held = {};
  EXPECT_EQ(live(MemoryUse::kBank), before);
}

TEST_P(MemoryTest, RefusalSaysWhatWasAskedWhatIsHeldAndTheWayOut) {
  const MemoryScope scope(MemoryUse::kParameters);
  const Tensor held = floats(1 << 20);
  set_memory_limit(device(), stats().live + 100);
  EXPECT_THAT(
      [] { floats(1 << 20); },
      ThrowsMessage<Error>(
          AllOf(HasSubstr(message("[memory] ", device(), " has no room for 4.19 MB of parameters")),
                HasSubstr("of a limit of"), HasSubstr("parameters 4.19 MB"),
                HasSubstr("Turn down --batch-size"))));
  set_memory_limit(device(), 0);
  EXPECT_EQ(floats(1 << 20).numel(), 1 << 20);  // works again once lifted
}

TEST_P(MemoryTest, ElementsAreAligned) {
  const std::uintptr_t alignment = device() == kCpu ? 64 : 256;
  for (const std::int64_t size : {1, 7, 100, 100000, 3000000}) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(floats(size).raw()) % alignment, 0u);
  }
}

/// A source that counts, over the C heap.
struct CountingSource {
  std::map<std::byte*, std::size_t> segments;
  std::size_t capacity = SIZE_MAX;
  std::size_t alignment = 64;
  std::size_t held = 0;

  BlockCache::Source source() {
    return {[this](std::size_t bytes) -> std::byte* {
              if (held + bytes > capacity) return nullptr;
              auto* segment = static_cast<std::byte*>(std::aligned_alloc(alignment, bytes));
              segments[segment] = bytes;
              held += bytes;
              return segment;
            },
            [this](std::byte* segment, std::size_t bytes) {
              EXPECT_EQ(segments.at(segment), bytes);
              held -= bytes;
              segments.erase(segment);
              std::free(segment);
            },
            alignment};
  }
};

TEST(BlockCache, ReusesWhatWasFreed) {
  CountingSource system;
  BlockCache cache(system.source());
  std::byte* first = cache.allocate(5 << 20);
  cache.free(first);
  EXPECT_EQ(cache.allocate(5 << 20), first);
  EXPECT_EQ(system.segments.size(), 1u);
  cache.free(first);
  cache.trim();
  EXPECT_EQ(system.held, 0u);
  EXPECT_EQ(cache.reserved(), 0u);
}

TEST(BlockCache, MergesNeighborsSoThatBigBlocksFitAgain) {
  CountingSource system;
  BlockCache cache(system.source());
  std::vector<std::byte*> blocks;
  for (int i = 0; i < 8; ++i)
    blocks.push_back(cache.allocate(4 << 20));  // fills one 32 MiB segment
  ASSERT_EQ(system.segments.size(), 1u);
  for (const int i : {0, 2, 4, 6, 1, 3, 5, 7}) cache.free(blocks[static_cast<std::size_t>(i)]);
  std::byte* whole = cache.allocate(32 << 20);
  EXPECT_EQ(system.segments.size(), 1u);
  cache.free(whole);
  cache.trim();
}

TEST(BlockCache, GivesBackWhatItCachesBeforeGivingUp) {
  CountingSource system;
  system.capacity = 64 << 20;
  BlockCache cache(system.source());
  cache.free(cache.allocate(40 << 20));
  std::byte* other = cache.allocate(50 << 20);
  ASSERT_NE(other, nullptr);
  EXPECT_EQ(cache.allocate(40 << 20), nullptr);
  cache.free(other);
  cache.trim();
}

// Random traffic: blocks are aligned and never overlap, contents survive, everything comes back.
class BlockCacheTest : public ::testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Alignments, BlockCacheTest, ::testing::Values(64, 256));

TEST_P(BlockCacheTest, SurvivesRandomTraffic) {
  CountingSource system{.alignment = GetParam()};
  BlockCache cache(system.source());
  Random random(1, Purpose::kBenchmark);
  struct Held {
    std::byte* begin;
    std::size_t size;
    unsigned char mark;
  };
  std::vector<Held> held;
  for (int step = 0; step < 3000; ++step) {
    if (held.empty() || random.uniform() < 0.55) {
      const auto size = static_cast<std::size_t>(std::exp2(random.uniform(0, 23)));
      std::byte* begin = cache.allocate(size);
      ASSERT_NE(begin, nullptr);
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(begin) % GetParam(), 0u);
      const auto mark = static_cast<unsigned char>(step);
      std::memset(begin, mark, size);
      held.push_back({begin, size, mark});
    } else {
      const auto index =
          static_cast<std::size_t>(random.integer(0, static_cast<std::int64_t>(held.size()) - 1));
      const Held block = held[index];
      ASSERT_EQ(std::to_integer<unsigned char>(block.begin[0]), block.mark);
      ASSERT_EQ(std::to_integer<unsigned char>(block.begin[block.size - 1]), block.mark);
      cache.free(block.begin);
      held[index] = held.back();
      held.pop_back();
    }
  }
  for (const Held& block : held) cache.free(block.begin);
  cache.trim();
  EXPECT_EQ(system.held, 0u);
}

}  // namespace
}  // namespace invp::testing
