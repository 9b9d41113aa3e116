// Checksums of what we write.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace invp {

/// CRC-32C (Castagnoli), as RFC 3720 defines it: that of "123456789" is 0xE3069283. `before`: that
/// of the bytes before these, so that parts give what the whole gives.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before = 0);
inline std::uint32_t crc32c(std::string_view text, std::uint32_t before = 0) {
  return crc32c(std::as_bytes(std::span(text)), before);
}

/// CRC-32 as zlib, zip archives and packs have it: that of "123456789" is 0xCBF43926.
std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t before = 0);

}  // namespace invp
