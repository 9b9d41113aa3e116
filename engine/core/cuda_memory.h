// Memory of the GPUs, for memory.cpp: segments for its cache, and copies on the context's stream.
#pragma once

#include "engine/core/block_cache.h"
#include "engine/core/device.h"

namespace invp::cuda {

/// Segments by cudaMalloc; take returns nullptr when the GPU has no more. Blocks go back to the
/// cache in program order, which on one stream is the order of their use.
BlockCache::Source segments(Device device);

/// See memory.h. From the host, bytes pass through page-locked staging memory, so that the host
/// need not wait for the copy and may overwrite `from` at once.
void copy_bytes(void* to, Device to_device, const void* from, Device from_device,
                std::size_t bytes);
void fill_bytes(void* to, int value, std::size_t bytes, Device device);
void fill_words(std::uint32_t* to, std::uint32_t value, std::int64_t count, Device device);

}  // namespace invp::cuda
