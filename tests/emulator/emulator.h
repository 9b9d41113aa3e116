// A GPU played by the CPU, so that every kernel's logic is tested, under the sanitizers too, where
// there is no GPU. It keeps CUDA's rules that kernels rely on: threads of a block wait for each
// other at barriers, lanes of a warp exchange values, shared memory belongs to a block. Each thread
// of a block is a fiber that runs until it must wait; a barrier that some thread never reaches is
// reported, not waited for.
//
// Threads are started in ascending order, or in descending order with INVP_EMULATOR_ORDER=reverse,
// blocks too: a kernel that reads what another thread has yet to write, because a barrier is
// missing, then gives another answer. What it cannot show: the GPU's memory order, its rounding of
// intrinsics, its speed.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <functional>

#include "cuda_runtime_api.h"

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

namespace emulator {

/// Of the thread that runs now, in its warp.
int lane();

void block_barrier();
void warp_barrier(unsigned lanes);
unsigned ballot(unsigned lanes, bool predicate);
std::byte* dynamic_shared();

/// A word each lane of the warp may write for the others to read between two barriers.
using Word = std::array<std::byte, 32>;
Word& slot_of(int lane);

/// The value of lane `source`.
template <class T>
T exchange(unsigned lanes, const T& value, int source) {
  static_assert(sizeof(T) <= sizeof(Word));
  std::memcpy(slot_of(lane()).data(), &value, sizeof(T));
  warp_barrier(lanes);
  T result;
  std::memcpy(&result, slot_of(source).data(), sizeof(T));
  warp_barrier(lanes);
  return result;
}

/// A bit for each of `lanes` whose value is this lane's.
template <class T>
unsigned match(unsigned lanes, const T& value) {
  static_assert(sizeof(T) <= sizeof(Word));
  std::memcpy(slot_of(lane()).data(), &value, sizeof(T));
  warp_barrier(lanes);
  unsigned peers = 0;
  for (int other = 0; other < 32; ++other) {
    const bool same = std::memcmp(slot_of(other).data(), &value, sizeof(T)) == 0;
    peers |= static_cast<unsigned>(same) << other;
  }
  warp_barrier(lanes);
  return peers & lanes;
}

/// Runs body once for every thread of the grid. Prints a message and aborts when threads wait for
/// others that never arrive.
cudaError_t run(dim3 blocks, dim3 threads, std::size_t shared_bytes,
                const std::function<void()>& body);

/// Is the stream's work captured for a graph instead of done?
bool capturing();
/// Whether work for this stream must be queued, because it is captured or has other work before it.
bool must_queue(cudaStream_t stream);
/// Does the work when the stream comes to it, or with the graph. It must have copied what it needs
/// of the caller's memory, and may not queue anything itself.
void queue(cudaStream_t stream, std::function<void()> work);
/// The same for work that waits for others: it is called, by any thread, until it returns true.
void queue_until(cudaStream_t stream, std::function<bool()> done);
/// Lets all streams go on as far as they can.
void settle();

/// Holds a stream's copies back until hold(stream, false), or until the host waits for anything, so
/// that tests see which work waits for which.
void hold(cudaStream_t stream, bool on);

/// How many GPUs this process has made a context on.
int contexts();

/// cudaMalloc serves this much in all (default 16 GiB), for tests of running out.
void set_memory(std::size_t bytes);

}  // namespace emulator
