// The one EXIF tag that changes how an image looks: its orientation.
#include <cstring>
#include <string_view>

#include "data/images/decoders.h"

namespace invp::decoders {

// A TIFF block: "II" or "MM" for the byte order, 42, and where the first directory begins; there a
// count and entries of 12 bytes {tag u16, type u16, count u32, value}. TIFF 6.0, section 2.
int exif_orientation(Bytes tiff) {
  constexpr std::uint64_t kOrientation = 0x0112;
  constexpr std::uint64_t kShort = 3;
  const bool big_endian = !tiff.empty() && tiff[0] == 'M';
  const auto read = [&](std::uint64_t at, std::uint64_t count) {  // 0 outside of the block
    std::uint64_t value = 0;
    if (at > tiff.size() || count > tiff.size() - at) return value;
    for (std::uint64_t i = 0; i < count; ++i)
      value = value << 8 | tiff[at + (big_endian ? i : count - 1 - i)];
    return value;
  };
  const std::uint64_t directory = read(4, 4);
  const std::uint64_t entries = read(directory, 2);
  for (std::uint64_t i = 0; i < entries; ++i) {
    const std::uint64_t entry = directory + 2 + 12 * i;
    if (read(entry, 2) != kOrientation || read(entry + 2, 2) != kShort) continue;
    const std::uint64_t value = read(entry + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Bytes without_exif_mark(Bytes block) {
  constexpr std::string_view kMark("Exif\0\0", 6);
  const bool marked =
      block.size() >= kMark.size() && std::memcmp(block.data(), kMark.data(), kMark.size()) == 0;
  return marked ? block.subspan(kMark.size()) : block;
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

}  // namespace invp::decoders
