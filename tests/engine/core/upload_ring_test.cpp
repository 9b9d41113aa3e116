#include "engine/core/upload_ring.h"

#include <gmock/gmock.h>

#include <numeric>
#include <thread>

#include "tests/support/devices.h"

namespace invp::testing {
namespace {

class UploadRingTest : public DeviceTest {
 protected:
  static Tensor counted(std::int64_t n, float first) {
    const Tensor x = Tensor::empty({n / 2, 2});
    std::iota(x.span<float>().begin(), x.span<float>().end(), first);
    return x;
  }
  static std::vector<float> elements(const Tensor& x) {
    const Tensor host = x.to(kCpu);
    return {host.span<float>().begin(), host.span<float>().end()};
  }
};
RUN_ON_EACH_DEVICE(UploadRingTest);

// Sizes go up and down, so buffers are found too small, and are used again.
TEST_P(UploadRingTest, WhatIsBegunIsTakenInOrder) {
  UploadRing ring(device());
  std::int64_t sizes[] = {6, 10, 2, 40, 4, 0, 8, 4000, 10, 6, 6, 6, 8};
  float first = 0;
  for (const std::int64_t size : sizes) {
    std::thread([&] { ring.begin(counted(size, first)); }).join();
    const Tensor taken = ring.take();
    EXPECT_EQ(taken.device(), device());
    EXPECT_EQ(taken.shape(), (Shape{size / 2, 2}));
    EXPECT_EQ(elements(taken), elements(counted(size, first)));
    first += 1000;
  }
}

TEST_P(UploadRingTest, TheNextIsBegunWhileOneIsInUse) {
  UploadRing ring(device());
  ring.begin(counted(8, 0));
  for (float i = 0; i < 9; ++i) {
    const Tensor taken = ring.take();
    Tensor next = counted(8, 100 * (i + 1));
    ring.begin(next);
    if (device() != kCpu) std::ranges::fill(next.span<float>(), -1.0F);  // free at once
    EXPECT_EQ(elements(taken), elements(counted(8, 100 * i)));
  }
}

TEST_P(UploadRingTest, WhatIsHeldStaysAsItIs) {
  UploadRing ring(device());
  std::vector<Tensor> held;
  for (float i = 0; i < 7; ++i) {
    ring.begin(counted(8, 100 * i));
    const Tensor taken = ring.take();
    if (static_cast<int>(i) % 3 != 1) held.push_back(taken.slice(1, 3));
  }
  const float firsts[] = {0, 200, 300, 500, 600};
  for (std::size_t i = 0; i < held.size(); ++i)
    EXPECT_EQ(elements(held[i]).front(), firsts[i] + 2) << i;
}

TEST_P(UploadRingTest, BuffersStayAndCountAsData) {
  UploadRing ring(device());
  if (device() == kCpu) GTEST_SKIP() << "the CPU has none";
  const auto in_data = [] {
    return memory_stats(device()).live_by_use[static_cast<std::size_t>(MemoryUse::kData)];
  };
  const std::int64_t before = in_data();
  std::set<void*> addresses;
  for (int i = 0; i < 20; ++i) {
    ring.begin(counted(100 + 2 * (i % 5), 0));
    addresses.insert(ring.take().raw());
    if (i > 2) {
      EXPECT_EQ(addresses.size(), std::size_t{UploadRing::kSlots});
    }
  }
  EXPECT_EQ(in_data() - before, (125 + 127) * 4);  // with room for a quarter more
}

TEST_P(UploadRingTest, RefusesWhatHasNoPlace) {
  UploadRing ring(device());
  EXPECT_THROW(ring.take(), Error);
  if (device() == kCpu) return;
  ring.begin(counted(2, 0));
  EXPECT_THROW(ring.begin(counted(2, 0)), Error);
  EXPECT_THROW(ring.begin(ring.take()), Error);  // it is on the GPU
}

// Another ring, then none: what is under way ends before its memory goes.
TEST_P(UploadRingTest, EndsAtAnyMoment) {
  for (int begun = 0; begun < 3; ++begun) {
    UploadRing ring(device());
    for (int i = 0; i < begun; ++i) {
      if (i > 0) ring.take();
      ring.begin(counted(8, 0));
    }
  }
}

}  // namespace
}  // namespace invp::testing
