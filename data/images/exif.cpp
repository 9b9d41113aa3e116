// The one EXIF tag that changes what a picture looks like: its orientation.
#include <cstring>
#include <optional>

#include "data/images/decode.h"

namespace invp {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::uint16_t kOrientationTag = 0x0112;
constexpr std::uint16_t kTypeShort = 3;

std::size_t big_endian(Bytes bytes, std::size_t offset, int count) {
  std::size_t value = 0;
  for (int i = 0; i < count; ++i) value = value << 8 | bytes[offset + static_cast<std::size_t>(i)];
  return value;
}

/// A TIFF block, in the byte order that its first two bytes name.
class Tiff {
 public:
  explicit Tiff(Bytes bytes) : bytes_(bytes) {}

  /// Entries of 12 bytes {tag u16, type u16, count u32, value} in the first directory.
  int orientation() const {
    if (bytes_.size() < 8) return 1;
    const auto directory = read(4, 4);
    if (!directory) return 1;
    const auto entries = read(*directory, 2);
    for (std::size_t i = 0; entries && i < *entries; ++i) {
      const std::size_t entry = *directory + 2 + 12 * i;
      const auto tag = read(entry, 2), type = read(entry + 2, 2), value = read(entry + 8, 2);
      if (!value) return 1;
      if (tag == kOrientationTag && type == kTypeShort) {
        return *value >= 1 && *value <= 8 ? static_cast<int>(*value) : 1;
      }
    }
    return 1;
  }

 private:
  std::optional<std::size_t> read(std::size_t offset, int count) const {
    if (offset > bytes_.size() || bytes_.size() - offset < static_cast<std::size_t>(count)) {
      return std::nullopt;
    }
    if (bytes_[0] == 'M') return big_endian(bytes_, offset, count);
    std::size_t value = 0;
    for (int i = count; i-- > 0;) value = value << 8 | bytes_[offset + static_cast<std::size_t>(i)];
    return value;
  }

  Bytes bytes_;
};

/// Walks the segments {0xFF, marker, length u16 counting itself, data} up to the picture itself.
int jpeg_orientation(Bytes bytes) {
  constexpr std::uint8_t kApp1 = 0xe1, kStartOfScan = 0xda, kEndOfImage = 0xd9;
  std::size_t at = 2;
  while (at + 4 <= bytes.size()) {
    if (bytes[at] != 0xff) {
      ++at;  // junk between segments
      continue;
    }
    const std::uint8_t marker = bytes[at + 1];
    if (marker == kStartOfScan || marker == kEndOfImage) return 1;
    const bool has_no_length = marker == 0xff || marker == 0 || (marker >= 0xd0 && marker <= 0xd8);
    if (has_no_length) {
      at += marker == 0xff ? 1 : 2;
      continue;
    }
    const std::size_t length = big_endian(bytes, at + 2, 2);
    if (length < 2 || length > bytes.size() - at - 2) return 1;
    const Bytes data = bytes.subspan(at + 4, length - 2);
    if (marker == kApp1 && data.size() > 6 && std::memcmp(data.data(), "Exif\0", 6) == 0) {
      return Tiff(data.subspan(6)).orientation();
    }
    at += 2 + length;
  }
  return 1;
}

/// Walks the chunks {length u32, name, data, checksum u32}.
int png_orientation(Bytes bytes) {
  std::size_t at = 8;
  while (at + 12 <= bytes.size()) {
    const std::size_t length = big_endian(bytes, at, 4);
    if (length > bytes.size() - at - 12) return 1;
    if (std::memcmp(bytes.data() + at + 4, "eXIf", 4) == 0) {
      return Tiff(bytes.subspan(at + 8, length)).orientation();
    }
    at += 12 + length;
  }
  return 1;
}

}  // namespace

int exif_orientation(Bytes bytes) {
  if (bytes.size() < 12) return 1;
  if (bytes[0] == 0xff && bytes[1] == 0xd8) return jpeg_orientation(bytes);
  if (std::memcmp(bytes.data(), "\x89PNG", 4) == 0) return png_orientation(bytes);
  return 1;
}

Image oriented(Image image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  // Source pixel of output (x, y), from what the tag says of row 0 and column 0.
  const bool transposed = orientation >= 5;
  const bool mirror_x =
      orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool mirror_y =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Image out(transposed ? image.height : image.width, transposed ? image.width : image.height);
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      int sx = transposed ? y : x, sy = transposed ? x : y;
      if (mirror_x) sx = image.width - 1 - sx;
      if (mirror_y) sy = image.height - 1 - sy;
      std::memcpy(out.at(x, y), image.at(sx, sy), 3);
    }
  }
  return out;
}

}  // namespace invp
