#include "engine/core/memory.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "engine/core/block_cache.h"
#include "engine/core/random.h"
#include "engine/core/tensor.h"

namespace invp {
namespace {

TEST(Memory, CountsLiveAndPeakBytesExactly) {
  const MemoryStats before = memory_stats(kCpu);
  reset_peak_memory(kCpu);
  {
    const Tensor a = Tensor::empty({1000});
    const Tensor b = Tensor::empty({3}, DType::kU8);
    EXPECT_EQ(memory_stats(kCpu).live - before.live, 4003);
    const Tensor view = a.view({10, 100});  // shares, costs nothing
    EXPECT_EQ(memory_stats(kCpu).live - before.live, 4003);
  }
  EXPECT_EQ(memory_stats(kCpu).live, before.live);
  EXPECT_EQ(memory_stats(kCpu).peak - before.live, 4003);
}

TEST(Memory, CountsByUse) {
  const auto bank = [] {
    return memory_stats(kCpu).live_by_use[static_cast<std::size_t>(MemoryUse::kBank)];
  };
  const std::int64_t before = bank();
  Tensor held;
  {
    const MemoryScope scope(MemoryUse::kBank);
    held = Tensor::empty({10});
  }
  EXPECT_EQ(bank() - before, 40);
  const Tensor other = Tensor::empty({10});
  EXPECT_EQ(bank() - before, 40);
  held = {};
  EXPECT_EQ(bank(), before);
}

TEST(Memory, RefusalSaysWhatWasAskedWhatIsHeldAndTheWayOut) {
  const MemoryScope scope(MemoryUse::kParameters);
  const Tensor held = Tensor::empty({1 << 20});
  set_memory_limit(kCpu, memory_stats(kCpu).live + 100);
  std::string text;
  try {
    Tensor::empty({1 << 20});
  } catch (const Error& error) {
    text = error.what();
  }
  set_memory_limit(kCpu, 0);
  for (const char* part :
       {"4.19 MB of parameters", "limit", "parameters 4.19 MB", "--batch-size"}) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
  EXPECT_EQ(Tensor::empty({1 << 20}).numel(), 1 << 20);  // works again once lifted
}

TEST(Memory, ElementsAreAligned) {
  for (const std::int64_t size : {1, 7, 100, 100000, 3000000}) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(Tensor::empty({size}).raw()) % 64, 0u);
  }
}

/// A source that counts, over the C heap.
struct CountingSource {
  std::map<std::byte*, std::size_t> segments;
  std::size_t capacity = SIZE_MAX;
  std::size_t held = 0;

  BlockCache::Source source() {
    return {[this](std::size_t bytes) -> std::byte* {
              if (held + bytes > capacity) return nullptr;
              auto* segment = static_cast<std::byte*>(std::aligned_alloc(64, bytes));
              segments[segment] = bytes;
              held += bytes;
              return segment;
            },
            [this](std::byte* segment, std::size_t bytes) {
              EXPECT_EQ(segments.at(segment), bytes);
              held -= bytes;
              segments.erase(segment);
              std::free(segment);
            }};
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

TEST(BlockCache, MergesNeighboursSoThatBigBlocksFitAgain) {
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

// Random traffic: blocks never overlap, contents survive, everything comes back.
TEST(BlockCache, SurvivesRandomTraffic) {
  CountingSource system;
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
}  // namespace invp
