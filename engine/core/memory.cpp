#include "engine/core/memory.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/core/block_cache.h"
#include "engine/core/cuda_memory.h"
#include "engine/core/error.h"
#include "engine/core/parallel.h"
#include "engine/core/text.h"

namespace invp {

/// The cache is guarded by its DeviceMemory's mutex.
class MemoryPool {
 public:
  MemoryPool(Device device, const BlockCache::Source& source) : device_(device), cache_(source) {}
  ~MemoryPool() { cache_.trim(); }
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  Device device() const { return device_; }
  BlockCache& cache() { return cache_; }

 private:
  Device device_;
  BlockCache cache_;
};

namespace {

thread_local std::shared_ptr<MemoryPool> current_pool;
thread_local MemoryUse current_use = MemoryUse::kActivations;

constexpr std::size_t kHugePage = 2 << 20;

// Segments straight from the kernel, on huge pages where it grants them: fewer faults and TLB
// misses.
std::byte* take_host_segment(std::size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
  return static_cast<std::byte*>(std::aligned_alloc(64, bytes));
#else
  void* memory =
      mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  auto* begin = static_cast<std::byte*>(memory);
  const auto address = reinterpret_cast<std::uintptr_t>(begin);
  const std::size_t skip = (kHugePage - address % kHugePage) % kHugePage;
  if (skip > 0) munmap(begin, skip);
  if (skip < kHugePage) munmap(begin + skip + bytes, kHugePage - skip);
  madvise(begin + skip, bytes, MADV_HUGEPAGE);
  return begin + skip;
#endif
}

void give_back_host_segment(std::byte* segment, std::size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
  (void)bytes;
  std::free(segment);
#else
  munmap(segment, bytes);
#endif
}

/// The allocator of one device: the cache, the pools, and what is allocated for which use.
class DeviceMemory {
 public:
  explicit DeviceMemory(const BlockCache::Source& source) : source_(source), cache_(source) {}

  /// From the pool, or from the cache if that is null.
  std::byte* allocate(std::size_t bytes, MemoryUse use, Device device, MemoryPool* pool) {
    const std::lock_guard lock(mutex_);
    const auto size = static_cast<std::int64_t>(bytes);
    std::byte* pointer = nullptr;
    if (stats_.limit == 0 || stats_.live + size <= stats_.limit) pointer = take(bytes, pool);
    if (pointer == nullptr) refuse(bytes, use, device);
    stats_.live += size;
    stats_.peak = std::max(stats_.peak, stats_.live);
    stats_.live_by_use[static_cast<std::size_t>(use)] += size;
    return pointer;
  }

  void free(std::byte* pointer, std::size_t bytes, MemoryUse use, MemoryPool* pool) {
    const std::lock_guard lock(mutex_);
    if (pool != nullptr) {
      pool->cache().free(pointer);
    } else {
      give_back(pointer, bytes);
    }
    stats_.live -= static_cast<std::int64_t>(bytes);
    stats_.live_by_use[static_cast<std::size_t>(use)] -= static_cast<std::int64_t>(bytes);
  }

  MemoryStats stats() {
    const std::lock_guard lock(mutex_);
    MemoryStats result = stats_;
    result.reserved = static_cast<std::int64_t>(cache_.reserved());
    for (const std::weak_ptr<MemoryPool>& pool : pools_) {
      if (const auto held = pool.lock())
        result.reserved += static_cast<std::int64_t>(held->cache().reserved());
    }
    return result;
  }
  void reset_peak() {
    const std::lock_guard lock(mutex_);
    stats_.peak = stats_.live;
  }
  void set_limit(std::int64_t bytes) {
    const std::lock_guard lock(mutex_);
    stats_.limit = bytes;
  }
  void trim() {
    const std::lock_guard lock(mutex_);
    cache_.trim();
  }
  std::shared_ptr<MemoryPool> make_pool(Device device) {
    const auto pool = std::make_shared<MemoryPool>(device, source_);
    const std::lock_guard lock(mutex_);
    std::erase_if(pools_, [](const std::weak_ptr<MemoryPool>& other) { return other.expired(); });
    pools_.push_back(pool);
    return pool;
  }

 private:
  std::byte* take(std::size_t bytes, MemoryPool* pool) {
    if (pool != nullptr) {
      std::byte* const pointer = pool->cache().allocate(bytes);
      if (pointer != nullptr) return pointer;
      cache_.trim();  // else the pool could not use what is free there
      return pool->cache().allocate(bytes);
    }
#ifdef __SANITIZE_ADDRESS__
    // One block per tensor, so that overruns are found.
    return source_.take((bytes + source_.alignment) / source_.alignment * source_.alignment);
#else
    return cache_.allocate(bytes);
#endif
  }
  void give_back(std::byte* pointer, std::size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
    source_.give_back(pointer, bytes);
#else
    (void)bytes;
    cache_.free(pointer);
#endif
  }

  [[noreturn]] void refuse(std::size_t bytes, MemoryUse use, Device device) const {
    std::string held;
    for (int i = 0; i < kMemoryUses; ++i) {
      const std::int64_t amount = stats_.live_by_use[static_cast<std::size_t>(i)];
      if (amount > 0) {
        held += message(held.empty() ? "" : ", ", name_of(static_cast<MemoryUse>(i)), " ",
                        format_bytes(amount));
      }
    }
    const std::string limit =
        stats_.limit > 0 ? message(" of a limit of ", format_bytes(stats_.limit)) : "";
    fail("[memory] ", device, " has no room for ", format_bytes(static_cast<std::int64_t>(bytes)),
         " of ", name_of(use), ": ", format_bytes(stats_.live), limit, " are held (",
         held.empty() ? "nothing" : held,
         "). Turn down --batch-size, --image-size or --width, or use --precision bf16.");
  }

  std::mutex mutex_;
  BlockCache::Source source_;
  BlockCache cache_;
  std::vector<std::weak_ptr<MemoryPool>> pools_;
  MemoryStats stats_;
};

DeviceMemory& device_memory(Device device) {
  // Never destroyed: tensors of static storage may outlive them otherwise.
  static auto* const host = new DeviceMemory({take_host_segment, give_back_host_segment});
  if (device == kCpu) return *host;
#ifdef INVP_CUDA
  static std::mutex mutex;
  static auto* const gpus = new std::map<int, std::unique_ptr<DeviceMemory>>;
  const std::lock_guard lock(mutex);
  std::unique_ptr<DeviceMemory>& gpu = (*gpus)[device.index];
  if (gpu == nullptr) gpu = std::make_unique<DeviceMemory>(cuda::segments(device));
  return *gpu;
#else
  fail("[memory] no allocator for ", device, " in this build");
#endif
}

}  // namespace

const char* name_of(MemoryUse use) {
  switch (use) {
    case MemoryUse::kActivations: return "activations";
    case MemoryUse::kParameters: return "parameters";
    case MemoryUse::kGradients: return "gradients";
    case MemoryUse::kOptimizer: return "optimiser";
    case MemoryUse::kBank: return "memory bank";
    case MemoryUse::kData: return "data";
    case MemoryUse::kWorkspace: return "workspace";
  }
  return "?";
}

MemoryScope::MemoryScope(MemoryUse use) : previous_(current_use) {
  current_use = use;
}
MemoryScope::~MemoryScope() {
  current_use = previous_;
}

std::shared_ptr<std::byte> allocate(std::size_t bytes, Device device) {
  DeviceMemory& memory = device_memory(device);
  const MemoryUse use = current_use;
  std::shared_ptr<MemoryPool> pool;
  if (current_pool != nullptr && current_pool->device() == device) pool = current_pool;
  return {memory.allocate(bytes, use, device, pool.get()),
          [&memory, bytes, use, pool](std::byte* pointer) {
            memory.free(pointer, bytes, use, pool.get());
          }};
}

std::shared_ptr<MemoryPool> make_memory_pool(Device device) {
  return device_memory(device).make_pool(device);
}

Device device_of(const MemoryPool& pool) {
  return pool.device();
}

MemoryPoolScope::MemoryPoolScope(std::shared_ptr<MemoryPool> pool)
    : previous_(std::exchange(current_pool, std::move(pool))) {}
MemoryPoolScope::~MemoryPoolScope() {
  current_pool = std::move(previous_);
}

MemoryStats memory_stats(Device device) {
  return device_memory(device).stats();
}
void reset_peak_memory(Device device) {
  device_memory(device).reset_peak();
}
void set_memory_limit(Device device, std::int64_t bytes) {
  device_memory(device).set_limit(bytes);
}
void release_cached_memory(Device device) {
  device_memory(device).trim();
}

std::int64_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
}

std::int64_t peak_memory_bytes(Device device) {
  return device == kCpu ? peak_resident_bytes() : memory_stats(device).peak;
}

void copy_bytes(void* to, Device to_device, const void* from, Device from_device,
                std::size_t bytes) {
  if (bytes == 0) return;
  if (to_device != kCpu || from_device != kCpu) {
#ifdef INVP_CUDA
    return cuda::copy_bytes(to, to_device, from, from_device, bytes);
#else
    fail("[memory] no copy from ", from_device, " to ", to_device, " in this build");
#endif
  }
  constexpr std::int64_t kGrain = 1 << 18;
  parallel_for(0, static_cast<std::int64_t>(bytes), kGrain,
               [to, from](std::int64_t begin, std::int64_t end) {
                 std::memcpy(static_cast<std::byte*>(to) + begin,
                             static_cast<const std::byte*>(from) + begin,
                             static_cast<std::size_t>(end - begin));
               });
}

void fill_bytes(void* to, int value, std::size_t bytes, Device device) {
  if (bytes == 0) return;
  if (device == kCpu) {
    std::memset(to, value, bytes);
    return;
  }
#ifdef INVP_CUDA
  cuda::fill_bytes(to, value, bytes, device);
#else
  fail("[memory] cannot clear memory of ", device, " in this build");
#endif
}

void fill_words(void* to, std::uint32_t value, std::int64_t count, Device device) {
  if (count == 0) return;
  if (device == kCpu) {
    std::fill_n(static_cast<std::uint32_t*>(to), count, value);
    return;
  }
#ifdef INVP_CUDA
  cuda::fill_words(static_cast<std::uint32_t*>(to), value, count, device);
#else
  fail("[memory] cannot fill memory of ", device, " in this build");
#endif
}

}  // namespace invp
