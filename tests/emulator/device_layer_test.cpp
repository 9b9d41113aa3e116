// What the engine says when a GPU fails: out of memory, and launches that cannot be.
#include <gmock/gmock.h>

#include "engine/core/cuda_launch.cuh"
#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"
#include "tests/emulator/emulator.h"

namespace invp::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr Device kGpu{DeviceType::kCuda, 0};
constexpr std::int64_t kMegabyte = 1 << 20;

Tensor bytes(std::int64_t count) {
  return Tensor::empty({count}, DType::kU8, kGpu);
}

/// A GPU with this much more memory than is taken, until the end of the scope.
class SmallGpu {
 public:
  explicit SmallGpu(std::size_t room) {
    release_cached_memory(kGpu);
    std::size_t free = 0;
    cudaMemGetInfo(&free, &total_);
    emulator::set_memory(total_ - free + room);
  }
  ~SmallGpu() { emulator::set_memory(total_); }
  SmallGpu(const SmallGpu&) = delete;
  SmallGpu& operator=(const SmallGpu&) = delete;

 private:
  std::size_t total_ = 0;
};

TEST(GpuMemory, OutOfMemorySaysWhatWasAskedWhatIsHeldAndTheWayOut) {
  const SmallGpu gpu(100 * kMegabyte);
  Tensor bank;
  {
    const MemoryScope scope(MemoryUse::kBank);
    bank = bytes(64 * kMegabyte);
  }
  const MemoryScope scope(MemoryUse::kGradients);
  EXPECT_THAT([] { bytes(64 * kMegabyte); },
              ThrowsMessage<Error>(
                  AllOf(HasSubstr("[memory] cuda:0 has no room for 67.11 MB of gradients: "),
                        HasSubstr("held (memory bank 67.11 MB"),
                        HasSubstr("Turn down --batch-size"), Not(HasSubstr("limit")))));
  bank = {};
  EXPECT_EQ(bytes(64 * kMegabyte).numel(), 64 * kMegabyte);  // it goes on
}

TEST(GpuMemory, IsGivenBackByTheCacheBeforeItRefuses) {
  const SmallGpu gpu(100 * kMegabyte);
  bytes(40 * kMegabyte);
  bytes(10 * kMegabyte);
  EXPECT_EQ(bytes(90 * kMegabyte).numel(), 90 * kMegabyte);
  EXPECT_LE(memory_stats(kGpu).reserved, 100 * kMegabyte);
}

TEST(GpuMemory, FreedBlocksAreReused) {
  const SmallGpu gpu(100 * kMegabyte);
  for (int i = 0; i < 20; ++i) bytes(30 * kMegabyte);
  EXPECT_EQ(memory_stats(kGpu).live, 0);
}

__global__ void do_nothing() {}

TEST(Launch, FailuresNameOperationCallAndDevice) {
  const cuda::Context& gpu = cuda::context(kGpu);
  cuda::enter(kGpu, "some_operation");
  const auto launch = [&](dim3 blocks, dim3 threads, std::size_t shared_bytes = 0) {
    cuda::launch(gpu, {blocks, threads, shared_bytes}, do_nothing);
  };
  const auto refused = ThrowsMessage<Error>(
      "[some_operation] starting the kernel failed on cuda:0: invalid configuration argument "
      "(cudaErrorInvalidConfiguration)");
  EXPECT_THAT([&] { launch({0}, {32}); }, refused);
  EXPECT_THAT([&] { launch({1, 70'000}, {32}); }, refused);
  EXPECT_THAT([&] { launch({1}, {2048}); }, refused);
  EXPECT_THAT([&] { launch({1}, {32}, 1 << 20); }, refused);
  launch({1}, {32});  // the next one is not blamed
}

TEST(Launch, GridsCoverWhatIsAskedAndNoMoreThanTheGpuHolds) {
  const cuda::Context& gpu = cuda::context(kGpu);
  EXPECT_EQ(cuda::grid_for(gpu, 0).blocks.x, 1u);
  EXPECT_EQ(cuda::grid_for(gpu, 257).blocks.x, 2u);
  EXPECT_EQ(cuda::grid_for(gpu, 1025, 4).blocks.x, 2u);
  EXPECT_EQ(cuda::grid_for(gpu, std::int64_t{1} << 40).blocks.x,
            8u * static_cast<unsigned>(gpu.multiprocessors()));
}

TEST(Context, IsForGpusThatAreThere) {
  EXPECT_THAT([] { cuda::context(kCpu); }, ThrowsMessage<Error>(HasSubstr("cpu is no GPU")));
  EXPECT_THAT(
      [] {
        cuda::context({DeviceType::kCuda, 3});
      },
      ThrowsMessage<Error>(HasSubstr("invalid device ordinal")));
  EXPECT_EQ(cuda::context(kGpu).device(), kGpu);
}

}  // namespace
}  // namespace invp::testing
