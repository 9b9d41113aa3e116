// Device memory: one caching allocator per device, which counts exactly what memory is used for.
// Freed blocks stay with the allocator: to return pages to the system and fault them in again costs
// more time than many layers take.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "engine/core/device.h"

namespace invp {

/// What an allocation is for. Out-of-memory messages and the report of a run list memory by it.
enum class MemoryUse : std::uint8_t {
  kActivations,
  kParameters,
  kGradients,
  kOptimizer,
  kBank,
  kData,
  kWorkspace,
};
inline constexpr int kMemoryUses = 7;
const char* name_of(MemoryUse use);

/// Labels every allocation of this thread until the end of the scope. Without one they count as
/// activations.
class MemoryScope {
 public:
  explicit MemoryScope(MemoryUse use);
  ~MemoryScope();
  MemoryScope(const MemoryScope&) = delete;
  MemoryScope& operator=(const MemoryScope&) = delete;

 private:
  MemoryUse previous_;
};

struct MemoryStats {
  std::int64_t live = 0;      ///< bytes in tensors now
  std::int64_t peak = 0;      ///< most bytes ever live since the last reset
  std::int64_t reserved = 0;  ///< bytes held from the system, live or cached
  std::int64_t limit = 0;     ///< 0: none
  std::array<std::int64_t, kMemoryUses> live_by_use{};
};

MemoryStats memory_stats(Device device);
void reset_peak_memory(Device device);
/// Refuses allocations beyond this many live bytes; 0: no limit. For shared machines and for tests.
void set_memory_limit(Device device, std::int64_t bytes);
/// Returns cached blocks to the system.
void release_cached_memory(Device device);
/// Highest resident set size of the process so far, in bytes, as the kernel counts it.
std::int64_t peak_resident_bytes();
/// What a run reports as its peak: the resident set of the host, or the tensors on a GPU.
std::int64_t peak_memory_bytes(Device device);

/// At least `bytes` bytes, uninitialised, aligned to 64 bytes (256 on a GPU). They return to the
/// cache with the last copy of the pointer. Throws Error that says how much was asked for what use,
/// what is in use, and which options need less.
std::shared_ptr<std::byte> allocate(std::size_t bytes, Device device);

/// Device memory of its own. Allocations in a MemoryPoolScope come from the pool and return to it,
/// so that work captured with their addresses (captured_work.h) can be replayed without overwriting
/// other tensors. A pool keeps its segments until its last tensor and its last handle are gone.
class MemoryPool;
std::shared_ptr<MemoryPool> make_memory_pool(Device device);
Device device_of(const MemoryPool& pool);

/// Allocations of this thread on the pool's device come from it until the end of the scope.
class MemoryPoolScope {
 public:
  explicit MemoryPoolScope(std::shared_ptr<MemoryPool> pool);
  ~MemoryPoolScope();
  MemoryPoolScope(const MemoryPoolScope&) = delete;
  MemoryPoolScope& operator=(const MemoryPoolScope&) = delete;

 private:
  std::shared_ptr<MemoryPool> previous_;
};

/// Copies between any two devices. Work queued later on the destination's device sees the bytes; a
/// copy to the host returns when they are there. The source may be overwritten at once.
void copy_bytes(void* to, Device to_device, const void* from, Device from_device,
                std::size_t bytes);
/// Sets every byte to `value`.
void fill_bytes(void* to, int value, std::size_t bytes, Device device);
/// Sets every one of `count` words of four bytes.
void fill_words(void* to, std::uint32_t value, std::int64_t count, Device device);

}  // namespace invp
