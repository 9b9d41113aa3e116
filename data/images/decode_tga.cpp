// Truevision's TGA, versions 1 and 2: gray, color and color-mapped, plain and in runs, from any
// corner. Version 1 has no signature: is_tga looks whether the header makes sense.
#include <algorithm>
#include <array>

#include "data/images/byte_reader.h"

namespace invp::decoders {
namespace {

constexpr std::size_t kHeaderBytes = 18;
enum Kind : int { kMapped = 1, kColor = 2, kGray = 3 };

struct Header {
  int id_bytes = 0;
  bool has_map = false;
  Kind kind = kColor;
  bool runs = false;
  int map_begin = 0, map_size = 0, map_bits = 0;
  int width = 0, height = 0;
  int bits = 0;  ///< per pixel
  bool right_to_left = false, top_down = false;

  std::size_t pixel_bytes() const { return static_cast<std::size_t>(bits + 7) / 8; }
  std::size_t row_bytes() const {
    return (static_cast<std::size_t>(width) * static_cast<std::size_t>(bits == 15 ? 16 : bits) +
            7) /
           8;
  }
};

Header read_header(ByteReader& reader) {
  Header header;
  header.id_bytes = reader.u8();
  header.has_map = reader.u8() == 1;
  const int type = reader.u8();
  header.kind = static_cast<Kind>(type & 7);
  header.runs = (type & 8) != 0;
  header.map_begin = reader.u16();
  header.map_size = reader.u16();
  header.map_bits = reader.u8();
  reader.u32();  // where the picture lies on a screen
  header.width = reader.u16();
  header.height = reader.u16();
  header.bits = reader.u8();
  const int flags = reader.u8();
  header.right_to_left = (flags & 0x10) != 0;
  header.top_down = (flags & 0x20) != 0;
  return header;
}

bool known_bits(const Header& header) {
  const int bits = header.bits;
  if (header.kind == kMapped) return bits == 8;
  if (header.kind == kGray) return bits == 1 || bits == 8 || bits == 16;
  return bits == 15 || bits == 16 || bits == 24 || bits == 32;
}

/// One color as TGA stores it, in maps and pixels: 5 bits each, or bytes, blue first.
void store_color(const std::uint8_t* from, int bits, std::uint8_t* to) {
  if (bits > 16) {
    for (int c = 0; c < 3; ++c) to[c] = from[2 - c];
    return;
  }
  const int value = from[0] | from[1] << 8;
  for (int c = 0; c < 3; ++c)
    to[c] = static_cast<std::uint8_t>((value >> (10 - 5 * c) & 31) * 255 / 31);
}

/// RGB of the 256 possible values of a byte; black outside of the file's map.
std::array<std::uint8_t, 768> read_map(ByteReader& reader, const Header& header,
                                       const std::string& name) {
  std::array<std::uint8_t, 768> map{};
  if (!header.has_map) return map;
  const int bits = header.map_bits;
  if (bits != 15 && bits != 16 && bits != 24 && bits != 32)
    refuse_unsupported(name, message("TGA: a color map of ", bits, " bits per color"));
  const auto entry = static_cast<std::size_t>(bits + 7) / 8;
  const Bytes colors = reader.take(entry * static_cast<std::size_t>(header.map_size));
  for (int i = 0; i < std::min(header.map_size, 256 - header.map_begin); ++i)
    store_color(&colors[entry * static_cast<std::size_t>(i)], bits,
                &map[3 * static_cast<std::size_t>(header.map_begin + i)]);
  return map;
}

/// The bytes of all rows, unpacked.
std::vector<std::uint8_t> unpack_runs(ByteReader& reader, const Header& header) {
  const std::size_t all = header.row_bytes() * static_cast<std::size_t>(header.height);
  std::vector<std::uint8_t> out;
  while (out.size() < all) {
    const int packet = reader.u8();
    const std::size_t count = static_cast<std::size_t>(packet & 0x7f) + 1;
    const std::size_t wanted = std::min(count * header.pixel_bytes(), all - out.size());
    if ((packet & 0x80) != 0) {
      const Bytes pixel = reader.take(header.pixel_bytes());
      for (std::size_t i = 0; i < wanted; ++i) out.push_back(pixel[i % pixel.size()]);
    } else {
      const Bytes pixels = reader.take(wanted);
      out.insert(out.end(), pixels.begin(), pixels.end());
    }
  }
  return out;
}

}  // namespace

bool is_tga(Bytes bytes) {
  if (bytes.size() < kHeaderBytes) return false;
  const std::string name;
  ByteReader reader(bytes, name, ImageFormat::kTga);
  const Header header = read_header(reader);
  const int type = bytes[2];
  return bytes[1] <= 1 && (type & ~8) >= kMapped && (type & ~8) <= kGray && header.width > 0 &&
         header.height > 0 && known_bits(header) && (header.kind != kMapped || header.has_map) &&
         (bytes[17] & 0xc0) == 0;
}

ImageInfo tga_info(Bytes bytes, const std::string& name, const DecodeOptions& options) {
  ByteReader reader(bytes, name, ImageFormat::kTga);
  const Header header = read_header(reader);
  if (header.kind < kMapped || header.kind > kGray || !known_bits(header))
    refuse_unsupported(
        name, message("TGA: image type ", int{bytes[2]}, " with ", header.bits, " bits per pixel"));
  if (header.kind == kMapped && !header.has_map) refuse(name, "TGA: the color map is missing");
  check_size(name, header.width, header.height, options);
  const int channels = header.kind == kGray ? (header.bits == 16 ? 2 : 1)
                       : header.bits == 32  ? 4
                                            : 3;
  return {.format = ImageFormat::kTga,
          .width = header.width,
          .height = header.height,
          .channels = channels};
}

void decode_tga(Bytes bytes, const std::string& name, Image& out, const DecodeOptions& options) {
  const ImageInfo info = tga_info(bytes, name, options);
  ByteReader reader(bytes, name, ImageFormat::kTga);
  const Header header = read_header(reader);
  reader.seek(reader.at() + static_cast<std::size_t>(header.id_bytes));
  const auto map = read_map(reader, header, name);
  std::vector<std::uint8_t> unpacked;
  if (header.runs) unpacked = unpack_runs(reader, header);
  const std::size_t stride = header.row_bytes();
  const Bytes pixels =
      header.runs ? Bytes(unpacked) : reader.take(stride * static_cast<std::size_t>(header.height));
  out.reshape(info.width, info.height);
  for (int i = 0; i < out.height; ++i) {
    const std::uint8_t* from = &pixels[stride * static_cast<std::size_t>(i)];
    const int y = header.top_down ? i : out.height - 1 - i;
    for (int j = 0; j < out.width; ++j) {
      std::uint8_t* to = out.at(header.right_to_left ? out.width - 1 - j : j, y);
      const std::uint8_t* pixel = from + static_cast<std::size_t>(j) * header.pixel_bytes();
      if (header.kind == kColor) {
        store_color(pixel, header.bits, to);
      } else if (header.kind == kMapped) {
        std::copy_n(&map[std::size_t{3} * *pixel], 3, to);
      } else if (header.bits == 1) {
        std::fill_n(to, 3, (from[j / 8] >> (7 - j % 8) & 1) != 0 ? 255 : 0);
      } else {
        std::fill_n(to, 3, *pixel);
      }
    }
  }
}

}  // namespace invp::decoders
