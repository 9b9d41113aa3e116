#include "engine/files/checksum.h"

#include <isa-l/crc.h>

#include <algorithm>

namespace invp {

// The library counts in 31 bits, and wants the values between parts inverted where they are not in
// its other function.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before) {
  std::uint32_t crc = ~before;
  while (!bytes.empty()) {
    const std::size_t count = std::min<std::size_t>(bytes.size(), std::size_t{1} << 30);
    // Only read, though the pointer is not const.
    auto* const begin = const_cast<std::byte*>(bytes.data());
    crc = crc32_iscsi(reinterpret_cast<unsigned char*>(begin), static_cast<int>(count), crc);
    bytes = bytes.subspan(count);
  }
  return ~crc;
}

std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t before) {
  return crc32_gzip_refl(before, reinterpret_cast<const unsigned char*>(bytes.data()),
                         bytes.size());
}

}  // namespace invp
