// Sixteen numbers at a time, by the compilers' vector extensions: the same lines become AVX-512,
// AVX2, SSE or NEON code, with the same bits.
#pragma once

#include <cstdint>
#include <cstring>

namespace invp::lanes {

inline constexpr int kLanes = 16;
using U8 = std::uint8_t __attribute__((vector_size(16)));
using U16 = std::uint16_t __attribute__((vector_size(32)));
using I32 = std::int32_t __attribute__((vector_size(64)));
using U32 = std::uint32_t __attribute__((vector_size(64)));
using F32 = float __attribute__((vector_size(64)));

/// Sixteen bytes from or to any address. By reference: passing wide vectors by value has no stable
/// ABI.
inline void load(const std::uint8_t* from, U8& to) {
  std::memcpy(&to, from, sizeof to);
}
inline void store(const U8& from, std::uint8_t* to) {
  std::memcpy(to, &from, sizeof from);
}

}  // namespace invp::lanes
