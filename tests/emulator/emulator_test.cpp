// The emulated GPU keeps the rules of CUDA that kernels rely on, and tells when a kernel breaks
// them.
#include "tests/emulator/emulator.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <numeric>
#include <set>
#include <tuple>
#include <vector>

#include "engine/core/cuda_launch.cuh"

namespace invp::testing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

/// Starts kernel(arguments...) as the engine does, without its checks.
template <class... Parameters, class... Arguments>
cudaError_t start(dim3 blocks, dim3 threads, std::size_t shared_bytes,
                  void (*kernel)(Parameters...), Arguments... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = blocks;
  config.blockDim = threads;
  config.dynamicSmemBytes = shared_bytes;
  return cudaLaunchKernelEx(&config, kernel, arguments...);
}

/// Runs every case with threads and blocks started in ascending and in descending order.
class EmulatorTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { setenv("INVP_EMULATOR_ORDER", GetParam(), 1); }
  void TearDown() override { unsetenv("INVP_EMULATOR_ORDER"); }
  static bool reversed() { return std::string_view(GetParam()) == "reverse"; }
};
INSTANTIATE_TEST_SUITE_P(Orders, EmulatorTest, ::testing::Values("ascending", "reverse"),
                         [](const auto& order) { return std::string(order.param); });

// --- where a thread is ---------------------------------------------------------------------------

__global__ void count_visits(int* visits) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  ++visits[block * blockDim.x * blockDim.y * blockDim.z + thread];
}

TEST_P(EmulatorTest, RunsEveryThreadOfEveryBlockOnce) {
  for (const auto& [blocks, threads] : std::vector<std::pair<dim3, dim3>>{{{1}, {1}},
                                                                          {{3}, {33}},
                                                                          {{2, 3}, {8, 4}},
                                                                          {{2, 2, 3}, {5, 3, 2}},
                                                                          {{1, 7}, {1, 1024}}}) {
    std::vector<int> visits(blocks.x * blocks.y * blocks.z * threads.x * threads.y * threads.z);
    ASSERT_EQ(start(blocks, threads, 0, count_visits, visits.data()), cudaSuccess);
    EXPECT_THAT(visits, Each(1));
  }
}

// --- barriers and shared memory ------------------------------------------------------------------

__global__ void reverse_block(const int* from, int* to) {
  __shared__ int values[256];
  values[threadIdx.x] = from[threadIdx.x];
  __syncthreads();
  to[threadIdx.x] = values[blockDim.x - 1 - threadIdx.x];
}

TEST_P(EmulatorTest, BarriersOrderWritesBeforeReads) {
  std::vector<int> values(200);
  std::iota(values.begin(), values.end(), 0);
  std::vector<int> reversed_values(200);
  ASSERT_EQ(start({1}, {200}, 0, reverse_block, values.data(), reversed_values.data()),
            cudaSuccess);
  std::ranges::reverse(reversed_values);
  EXPECT_EQ(reversed_values, values);
}

/// Needs a barrier between its two lines.
__global__ void take_from_the_left(int first, int* to) {
  __shared__ int values[64];
  values[threadIdx.x] = first + static_cast<int>(threadIdx.x);
  to[threadIdx.x] = values[(threadIdx.x + blockDim.x - 1) % blockDim.x];
}

TEST_P(EmulatorTest, AMissingBarrierShowsInOneOfTheOrders) {
  const int first = reversed() ? 1000 : 2000;
  std::vector<int> got(64);
  ASSERT_EQ(start({1}, {64}, 0, take_from_the_left, first, got.data()), cudaSuccess);
  EXPECT_EQ(got[1] == first, !reversed());  // thread 1 reads what thread 0 wrote, if it came first
  EXPECT_EQ(got[0] == first + 63, reversed());
}

__global__ void prefix_sums(int* values) {
  __shared__ int sums[128];
  const auto t = threadIdx.x;
  sums[t] = values[t];
  __syncthreads();
  for (unsigned step = 1; step < blockDim.x; step *= 2) {
    const int left = t >= step ? sums[t - step] : 0;
    __syncthreads();
    sums[t] += left;
    __syncthreads();
  }
  values[t] = sums[t];
}

TEST_P(EmulatorTest, BarriersInALoop) {
  std::vector<int> values(100, 3);
  ASSERT_EQ(start({1}, {100}, 0, prefix_sums, values.data()), cudaSuccess);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(values[static_cast<std::size_t>(i)], 3 * (i + 1));
}

__global__ void sum_of_the_first(int count, int* total) {
  __shared__ int values[64];
  if (static_cast<int>(threadIdx.x) >= count) return;
  values[threadIdx.x] = 1;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int i = 0; i < count; ++i) *total += values[i];
}

TEST_P(EmulatorTest, ThreadsThatReturnedAreNotWaitedFor) {
  for (const int count : {1, 31, 32, 33, 64}) {
    int total = 0;
    ASSERT_EQ(start({1}, {64}, 0, sum_of_the_first, count, &total), cudaSuccess);
    EXPECT_EQ(total, count);
  }
}

__global__ void sum_in_dynamic_memory(std::int64_t* to, int* fresh) {
  auto* const values = cuda::dynamic_shared<std::int64_t>();
  if (values[threadIdx.x] == static_cast<std::int64_t>(threadIdx.x) + 1) ++*fresh;
  __syncthreads();
  values[threadIdx.x] = static_cast<std::int64_t>(threadIdx.x) + 1;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (unsigned i = 0; i < blockDim.x; ++i) to[blockIdx.x] += values[i];
}

TEST_P(EmulatorTest, DynamicSharedMemoryBelongsToABlock) {
  std::vector<std::int64_t> totals(3);
  int kept = 0;
  ASSERT_EQ(
      start({3}, {1024}, 1024 * sizeof(std::int64_t), sum_in_dynamic_memory, totals.data(), &kept),
      cudaSuccess);
  EXPECT_THAT(totals, Each(1024 * 1025 / 2));
  EXPECT_EQ(kept, 0);  // of what the block before wrote
}

// --- warps ---------------------------------------------------------------------------------------

struct Shuffled {
  int broadcast, in_group, xored, down, down_in_group, up;
  double wide;
};

__global__ void shuffle(Shuffled* to) {
  const int t = static_cast<int>(threadIdx.x);
  Shuffled& mine = to[t];
  mine.broadcast = __shfl_sync(cuda::kAllLanes, t, 5);
  mine.in_group = __shfl_sync(cuda::kAllLanes, t, 3, 8);
  mine.xored = __shfl_xor_sync(cuda::kAllLanes, t, 17);
  mine.down = __shfl_down_sync(cuda::kAllLanes, t, 4);
  mine.down_in_group = __shfl_down_sync(cuda::kAllLanes, t, 4, 8);
  mine.up = __shfl_up_sync(cuda::kAllLanes, t, 4);
  mine.wide = __shfl_xor_sync(cuda::kAllLanes, t + 0.5, 1);
}

TEST_P(EmulatorTest, ShufflesExchangeWithinAWarp) {
  std::vector<Shuffled> got(64);
  ASSERT_EQ(start({1}, {64}, 0, shuffle, got.data()), cudaSuccess);
  for (int t = 0; t < 64; ++t) {
    SCOPED_TRACE(t);
    const int lane = t % 32;
    const Shuffled& mine = got[static_cast<std::size_t>(t)];
    EXPECT_EQ(mine.broadcast, t - lane + 5);
    EXPECT_EQ(mine.in_group, t / 8 * 8 + 3);
    EXPECT_EQ(mine.xored, t ^ 17);
    EXPECT_EQ(mine.down, lane + 4 < 32 ? t + 4 : t);
    EXPECT_EQ(mine.down_in_group, t % 8 + 4 < 8 ? t + 4 : t);
    EXPECT_EQ(mine.up, lane >= 4 ? t - 4 : t);
    EXPECT_EQ(mine.wide, (t ^ 1) + 0.5);
  }
}

struct Voted {
  unsigned ballot, match;
  bool any, all;
};

__global__ void vote(Voted* to) {
  const auto t = threadIdx.x;
  to[t].ballot = __ballot_sync(cuda::kAllLanes, t % 3 == 0);
  to[t].match = __match_any_sync(cuda::kAllLanes, t / 8);
  to[t].any = __any_sync(cuda::kAllLanes, t == 40);
  to[t].all = __all_sync(cuda::kAllLanes, t >= 32);
}

TEST_P(EmulatorTest, VotesCountAWarp) {
  std::vector<Voted> got(64);
  ASSERT_EQ(start({1}, {64}, 0, vote, got.data()), cudaSuccess);
  for (unsigned t = 0; t < 64; ++t) {
    SCOPED_TRACE(t);
    unsigned thirds = 0;
    for (unsigned lane = 0; lane < 32; ++lane) {
      thirds |= static_cast<unsigned>((t / 32 * 32 + lane) % 3 == 0) << lane;
    }
    EXPECT_EQ(got[t].ballot, thirds);
    EXPECT_EQ(got[t].match, 0xFFU << t % 32 / 8 * 8);
    EXPECT_EQ(got[t].any, t >= 32);
    EXPECT_EQ(got[t].all, t >= 32);
  }
}

/// The lower half of the warp adds up in three rounds, the upper half in one.
__global__ void sum_halves(int* to) {
  const int lane = static_cast<int>(threadIdx.x);
  const bool lower = lane < 16;
  const unsigned mine = lower ? 0x0000FFFF : 0xFFFF0000;
  int total = lane;
  for (int step = lower ? 8 : 1; step > 0; step /= 2) {
    total += __shfl_xor_sync(mine, total, step, 16);
  }
  to[lane] = total;
}

TEST_P(EmulatorTest, HalvesOfAWarpGoTheirOwnWays) {
  std::vector<int> got(32);
  ASSERT_EQ(start({1}, {32}, 0, sum_halves, got.data()), cudaSuccess);
  for (int lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(got[static_cast<std::size_t>(lane)], lane < 16 ? 120 : lane + (lane ^ 1)) << lane;
  }
}

__global__ void sum_of_a_short_warp(int* total) {
  const int lane = static_cast<int>(threadIdx.x);
  if (lane >= 20) return;
  const unsigned peers = __ballot_sync((1U << 20) - 1, true);
  if (lane == 0) *total = __popc(peers);
}

TEST_P(EmulatorTest, LanesThatReturnedAreNotWaitedFor) {
  for (const unsigned threads : {20U, 32U}) {
    int total = 0;
    ASSERT_EQ(start({1}, {threads}, 0, sum_of_a_short_warp, &total), cudaSuccess);
    EXPECT_EQ(total, 20);
  }
}

/// Each warp writes for its own lanes only.
__global__ void rotate_in_warps(int* to) {
  __shared__ int values[128];
  const auto t = threadIdx.x;
  const unsigned lane = t % 32;
  values[t] = static_cast<int>(t);
  __syncwarp();
  to[t] = values[t - lane + (lane + 1) % 32];
}

TEST_P(EmulatorTest, WarpBarriersOrderWritesBeforeReads) {
  std::vector<int> got(128);
  ASSERT_EQ(start({1}, {128}, 0, rotate_in_warps, got.data()), cudaSuccess);
  for (int t = 0; t < 128; ++t) {
    EXPECT_EQ(got[static_cast<std::size_t>(t)], t / 32 * 32 + (t + 1) % 32);
  }
}

// --- atomics -------------------------------------------------------------------------------------

struct Counters {
  int tickets, largest, smallest;
  unsigned bits, swapped;
};

__global__ void use_atomics(Counters* counters, int* ticket) {
  const int t = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  ticket[t] = atomicAdd(&counters->tickets, 1);
  atomicMax(&counters->largest, t);
  atomicMin(&counters->smallest, t);
  atomicOr(&counters->bits, 1U << t % 8);
  atomicCAS(&counters->swapped, 7U, static_cast<unsigned>(t));
}

TEST_P(EmulatorTest, AtomicsGiveEveryThreadItsTurn) {
  Counters counters{.tickets = 0, .largest = -1, .smallest = 1000, .bits = 0, .swapped = 7};
  std::vector<int> ticket(150);
  ASSERT_EQ(start({3}, {50}, 0, use_atomics, &counters, ticket.data()), cudaSuccess);
  EXPECT_EQ(std::set<int>(ticket.begin(), ticket.end()).size(), 150u);
  EXPECT_EQ(counters.tickets, 150);
  EXPECT_EQ(counters.largest, 149);
  EXPECT_EQ(counters.smallest, 0);
  EXPECT_EQ(counters.bits, 0xFFu);
  EXPECT_EQ(counters.swapped, reversed() ? 149u : 0u);
}

// --- what is refused -----------------------------------------------------------------------------

__global__ void wait_apart() {
  if (threadIdx.x < 16) {
    __syncthreads();
  } else {
    __syncwarp();  // for lanes that wait elsewhere
  }
}

TEST(EmulatorDeathTest, ADivergentBarrierIsReported) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(start({2}, {32}, 0, wait_apart),
               "block \\(0, 0, 0\\) is stuck: of 32 threads 0 have exited and 16 wait at "
               "__syncthreads");
}

__global__ void do_nothing() {}

TEST(Emulator, RefusesImpossibleLaunches) {
  EXPECT_EQ(start({1}, {1024}, 227 << 10, do_nothing), cudaSuccess);
  EXPECT_EQ(start({0}, {32}, 0, do_nothing), cudaErrorInvalidConfiguration);
  EXPECT_EQ(start({1}, {0}, 0, do_nothing), cudaErrorInvalidConfiguration);
  EXPECT_EQ(start({1}, {1025}, 0, do_nothing), cudaErrorInvalidConfiguration);
  EXPECT_EQ(start({1}, {64, 32}, 0, do_nothing), cudaErrorInvalidConfiguration);
  EXPECT_EQ(start({1, 65536}, {32}, 0, do_nothing), cudaErrorInvalidConfiguration);
  EXPECT_EQ(start({1}, {32}, (227 << 10) + 1, do_nothing), cudaErrorInvalidConfiguration);
}

TEST(Emulator, RunsOutOfMemory) {
  std::size_t free_before = 0;
  std::size_t total = 0;
  cudaMemGetInfo(&free_before, &total);
  emulator::set_memory(total - free_before + 1000);
  void* first = nullptr;
  void* second = nullptr;
  EXPECT_EQ(cudaMalloc(&first, 600), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&second, 600), cudaErrorMemoryAllocation);
  std::size_t free_now = 0;
  cudaMemGetInfo(&free_now, &total);
  EXPECT_EQ(free_now, 400u);
  EXPECT_EQ(cudaFree(first), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&second, 600), cudaSuccess);
  EXPECT_EQ(cudaFree(second), cudaSuccess);
  emulator::set_memory(std::size_t{16} << 30);
}

}  // namespace
}  // namespace invp::testing
