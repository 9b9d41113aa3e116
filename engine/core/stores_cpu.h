// How CPU kernels write: blocks that fit the first-level cache, sent on past the caches when the
// output is too large to stay in them. A non-temporal store does not read the line it overwrites,
// which saves a third of the traffic of y = f(x).
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "engine/core/tensor.h"

namespace invp::cpu {

/// slot = value, rounded to the slot's type. bf16 goes by its bits because g++ does not vectorise
/// the assignment of a class inside an omp simd loop.
inline void put(float& slot, float value) {
  slot = value;
}
inline void put(BFloat16& slot, float value) {
  slot.bits = BFloat16(value).bits;
}

/// Outputs of more bytes than this are written past the caches. Measured as y = 2 x + 1 and reading
/// y back, on an Ice Lake core with 1.25 MB of second-level and 48 MB of shared third-level cache:
/// plain stores win up to 4 MB, it is a tie at 8, and streaming is 5 to 10 % faster from 16 MB on.
inline constexpr std::size_t kStreamingBytes = std::size_t{8} << 20;

inline bool streams(const Tensor& y) {
  return y.nbytes() > kStreamingBytes;
}

/// Copies n elements with non-temporal stores; the unaligned ends go the ordinary way.
template <class T>
void store_past_caches(T* to, const T* from, std::int64_t n) {
  constexpr std::int64_t kLine = 64;
  constexpr std::int64_t kElements = kLine / static_cast<std::int64_t>(sizeof(T));
  const auto address = reinterpret_cast<std::uintptr_t>(to);
  const auto to_line = static_cast<std::int64_t>((kLine - address % kLine) % kLine / sizeof(T));
  std::int64_t i = std::min(n, to_line);
  std::copy_n(from, i, to);
  for (; i + kElements <= n; i += kElements) {
#ifdef __AVX512F__
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i), _mm512_loadu_si512(from + i));
#else
    for (std::int64_t part = 0; part < kElements; part += kElements / 4) {
      _mm_stream_si128(reinterpret_cast<__m128i*>(to + i + part),
                       _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i + part)));
    }
#endif
  }
  std::copy_n(from + i, n - i, to + i);
}

/// Fills y[begin, end) in blocks: compute(T* out, first, count) writes count elements that belong
/// at y[first]. Streaming blocks are computed in the first-level cache and copied out; others are
/// computed in place.
template <class T, class Compute>
void write_blocks(T* y, std::int64_t begin, std::int64_t end, bool streaming,
                  const Compute& compute) {
  constexpr std::int64_t kBlock = 1024;
  if (!streaming) {
    if (begin < end) compute(y + begin, begin, end - begin);
    return;
  }
  alignas(64) std::array<T, kBlock> buffer;
  for (std::int64_t i = begin; i < end; i += kBlock) {
    const std::int64_t count = std::min(kBlock, end - i);
    compute(buffer.data(), i, count);
    store_past_caches(y + i, buffer.data(), count);
  }
}

/// Orders non-temporal stores before the next operation. Call once per thread, after its last
/// block.
inline void finish_stores(bool streaming) {
  if (streaming) _mm_sfence();
}

}  // namespace invp::cpu
