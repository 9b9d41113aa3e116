// A pack: the images of a split in one file, which is mapped into memory. Little-endian.
//
//   PackHeader                     64 bytes
//   the images                     one after another, in the order of the split
//   PackRecord                     the index, one per image
//   Presence                       of multi-label sets: per image, one byte per class
//   text                           strings that end with a zero byte: the kind of the data set that
//                                  it was made from, its classes, and the name of each image
//
// The checksums are CRC-32, zlib's (crc32 of engine/files/checksum.h).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace invp {

static_assert(std::endian::native == std::endian::little, "packs are written as memory holds them");

inline constexpr std::array<char, 8> kPackMagic = {'I', 'N', 'V', 'P', 'P', 'A', 'C', 'K'};
inline constexpr std::uint32_t kPackVersion = 1;
/// The label of an image in a pack without classes.
inline constexpr std::uint32_t kNoPackLabel = 0xffffffff;

enum class PackEncoding : std::uint32_t {
  kFiles = 0,   ///< the bytes of an image file
  kPixels = 1,  ///< height rows of width interleaved R, G, B bytes
};

struct PackHeader {
  std::array<char, 8> magic = kPackMagic;
  std::uint32_t version = kPackVersion;
  PackEncoding encoding{};
  std::uint64_t file_bytes = 0;  ///< of the whole file
  std::uint64_t images = 0;
  std::uint64_t index_offset = 0;  ///< the end of the images
  std::uint32_t classes = 0;       ///< 0: the images have no labels
  std::uint32_t shorter = 0;       ///< larger images were shrunk to this shorter side; 0: none were
  std::uint32_t quality = 0;       ///< of the JPEGs that were encoded anew; 0: none were
  std::uint32_t presences = 0;     ///< 1: there are some
  std::uint32_t index_crc = 0;     ///< of all bytes from index_offset on
  std::uint32_t header_crc = 0;    ///< of the 60 bytes before it
};
static_assert(sizeof(PackHeader) == 64 && std::is_trivially_copyable_v<PackHeader>);

struct PackRecord {
  std::uint64_t offset = 0;  ///< of the image, in the file
  std::uint32_t bytes = 0;
  std::uint32_t crc = 0;  ///< of those bytes
  std::uint32_t width = 0, height = 0;
  std::uint32_t label = 0;
  std::uint32_t name = 0;  ///< where it begins in the text
};
static_assert(sizeof(PackRecord) == 32 && std::is_trivially_copyable_v<PackRecord>);

}  // namespace invp
