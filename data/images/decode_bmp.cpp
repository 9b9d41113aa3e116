// Windows and OS/2 bitmaps: a file header of 14 bytes, an information header whose length tells the
// version, a palette or masks, the pixels. What files leave open is decided as Pillow does.
#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "data/images/byte_reader.h"

namespace invp::decoders {
namespace {

constexpr std::size_t kFileHeader = 14;
constexpr std::size_t kMasks = 54;  ///< in headers of every version, or after the one of 40 bytes
constexpr std::size_t kLongestHeader = 256;
constexpr std::int64_t kMaxColors = 65536;
constexpr std::array kCompressions = {
    "none", "RLE8", "RLE4", "bit fields", "JPEG data", "PNG data", "bit fields with alpha"};
enum Compression : std::uint32_t { kNone = 0, kRle8 = 1, kRle4 = 2, kBitFields = 3 };

/// Where one color lies in a pixel's bits.
struct Field {
  std::uint32_t mask = 0;

  bool contiguous() const {
    const std::uint32_t low = mask == 0 ? 0 : mask >> std::countr_zero(mask);
    return mask != 0 && (low & (low + 1)) == 0;
  }
  std::uint8_t of(std::uint32_t pixel) const {
    const int shift = std::countr_zero(mask);
    const std::uint64_t value = (pixel & mask) >> shift, largest = mask >> shift;
    return static_cast<std::uint8_t>(largest == 255 ? value : value * 255 / largest);
  }
};

struct Header {
  std::int64_t width = 0, height = 0;
  bool top_down = false;
  int bits = 0;  ///< per pixel
  std::uint32_t compression = kNone;
  std::array<Field, 3> fields{};            ///< red, green, blue of 16, 24 and 32 bits
  std::array<std::uint8_t, 768> palette{};  ///< RGB; black beyond its end
  std::size_t pixels_at = 0;

  std::size_t row_bytes() const { return (static_cast<std::size_t>(width * bits) + 7) / 8; }
  std::size_t stride() const { return (row_bytes() + 3) / 4 * 4; }
  void store(int index, std::uint8_t* to) const {
    std::copy_n(palette.begin() + std::ptrdiff_t{3} * index, 3, to);
  }
};

class Reader : private ByteReader {
 public:
  Reader(Bytes bytes, const std::string& name)
      : ByteReader(bytes, name, ImageFormat::kBmp), name_(name) {
    seek(10);
    std::size_t pixels_at = u32();
    const std::size_t size = u32();
    std::int64_t colors = 0;
    if (size == 12) {
      header_.width = u16();
      header_.height = u16();
      seek(at() + 2);
      header_.bits = u16();
    } else {
      colors = read_long_header(size);
    }
    check_kind();
    seek(kFileHeader + size);
    if (header_.bits <= 8) {
      const std::size_t entry = size == 12 ? 3 : 4;
      if (colors == 0) colors = std::int64_t{1} << header_.bits;
      if (colors > kMaxColors) refuse(name_, message("BMP: a palette of ", colors, " colors"));
      // Some writers point at the palette instead of the pixels behind it.
      if (pixels_at == kFileHeader + size) pixels_at += entry * static_cast<std::size_t>(colors);
      read_palette(entry, static_cast<std::size_t>(colors));
    } else {
      read_fields();
    }
    header_.pixels_at = pixels_at == 0 ? at() : pixels_at;
  }

  const Header& header() const { return header_; }

  void decode_rows(Image& out) {
    const auto rows = static_cast<std::size_t>(header_.height);
    seek(header_.pixels_at);
    // The padding of the last row may be missing.
    const std::size_t stride = header_.stride();
    const Bytes pixels = take(stride * (rows - 1) + header_.row_bytes());
    out.reshape(static_cast<int>(header_.width), static_cast<int>(header_.height));
    for (std::size_t i = 0; i < rows; ++i) {
      const std::size_t y = header_.top_down ? i : rows - 1 - i;
      decode_row(pixels.subspan(stride * i, header_.row_bytes()), out.row(static_cast<int>(y)));
    }
  }

  void decode_runs(Image& out) {
    const std::vector<std::uint8_t> indices = unpack_runs();
    if (indices.size() < pixel_count()) refuse_cut(name_, ImageFormat::kBmp);
    out.reshape(static_cast<int>(header_.width), static_cast<int>(header_.height));
    const std::uint8_t* index = indices.data();
    for (int i = 0; i < out.height; ++i) {
      std::uint8_t* to = out.row(header_.top_down ? i : out.height - 1 - i);
      for (int x = 0; x < out.width; ++x, to += 3) header_.store(*index++, to);
    }
  }

 private:
  /// Returns the number of colors.
  std::int64_t read_long_header(std::size_t size) {
    constexpr std::array<std::size_t, 6> kSizes = {40, 52, 56, 64, 108, 124};
    if (size > kLongestHeader) refuse(name_, "BMP: the header is damaged");
    if (std::ranges::find(kSizes, size) == kSizes.end())
      refuse_unsupported(name_, message("BMP: a header of ", size, " bytes"));
    header_.width = i32();
    header_.height = i32();
    header_.top_down = header_.height < 0;
    header_.height = std::abs(header_.height);
    seek(at() + 2);
    header_.bits = u16();
    header_.compression = u32();
    seek(at() + 12);
    return u32();
  }

  void check_kind() const {
    const std::uint32_t compression = header_.compression;
    const int bits = header_.bits;
    if (compression > kBitFields) {
      refuse_unsupported(name_, message("BMP: compression ", compression,
                                        compression < kCompressions.size()
                                            ? message(" (", kCompressions[compression], ")")
                                            : ""));
    }
    constexpr std::array kBits = {1, 4, 8, 16, 24, 32};
    if (std::ranges::find(kBits, bits) == kBits.end())
      refuse_unsupported(name_, message("BMP: ", bits, " bits per pixel"));
    if ((compression == kRle8 && bits != 8) || (compression == kRle4 && bits != 4) ||
        (compression == kBitFields && bits < 16)) {
      refuse_unsupported(
          name_, message("BMP: ", kCompressions[compression], " at ", bits, " bits per pixel"));
    }
  }

  void read_palette(std::size_t entry, std::size_t colors) {
    const std::size_t count = std::min({colors, std::size_t{256}, left() / entry});
    for (std::size_t i = 0; i < count; ++i) {
      const Bytes blue_first = take(entry);
      for (std::size_t c = 0; c < 3; ++c) header_.palette[3 * i + c] = blue_first[2 - c];
    }
  }

  void read_fields() {
    constexpr std::array<Field, 3> kFifteen = {Field{0x7c00}, {0x3e0}, {0x1f}};
    constexpr std::array<Field, 3> kBytes = {Field{0xff0000}, {0xff00}, {0xff}};
    auto& fields = header_.fields;
    fields = header_.bits == 16 ? kFifteen : kBytes;
    if (header_.compression != kBitFields) return;
    std::array<Field, 3> masks{};
    const std::size_t behind = at();
    seek(kMasks);
    for (Field& field : masks) field.mask = u32();
    seek(std::max(behind, at()));
    if (masks[0].mask == 0 && masks[1].mask == 0 && masks[2].mask == 0 && header_.bits == 32)
      return;
    fields = masks;
    if (!std::ranges::all_of(fields, &Field::contiguous))
      refuse_unsupported(name_, "BMP: bit fields with gaps or without a color");
  }

  void decode_row(Bytes row, std::uint8_t* to) const {
    const int bits = header_.bits;
    const auto width = static_cast<std::size_t>(header_.width);
    for (std::size_t x = 0; x < width; ++x, to += 3) {
      if (bits <= 8) {
        const std::size_t bit = x * static_cast<std::size_t>(bits);
        const int shift = 8 - bits - static_cast<int>(bit % 8);
        header_.store(row[bit / 8] >> shift & ((1 << bits) - 1), to);
      } else {
        std::uint32_t pixel = 0;
        const auto bytes = static_cast<std::size_t>(bits) / 8;
        for (std::size_t i = 0; i < bytes; ++i)
          pixel |= std::uint32_t{row[x * bytes + i]} << (8 * i);
        for (int c = 0; c < 3; ++c) to[c] = header_.fields[static_cast<std::size_t>(c)].of(pixel);
      }
    }
  }

  std::size_t pixel_count() const {
    return static_cast<std::size_t>(header_.width * header_.height);
  }

  /// The color of each pixel in the order of the file, less than all if the data ends early.
  /// Pixels that the data passes over have color 0.
  std::vector<std::uint8_t> unpack_runs() {
    const auto width = static_cast<std::size_t>(header_.width);
    const std::size_t all = pixel_count();
    std::vector<std::uint8_t> out;
    const auto append = [&](std::size_t count, const auto& value_of) {
      for (std::size_t i = 0; i < count && out.size() < all; ++i)
        out.push_back(static_cast<std::uint8_t>(value_of(i)));
    };
    const bool half_bytes = header_.compression == kRle4;
    const auto nibble = [](int byte, std::size_t i) { return i % 2 == 0 ? byte >> 4 : byte & 15; };
    const auto nothing = [](std::size_t) { return 0; };
    std::size_t x = 0;
    seek(header_.pixels_at);
    while (out.size() < all && left() >= 2) {
      const auto count = static_cast<std::size_t>(u8());
      const int value = u8();
      if (count > 0) {  // a run, which ends with its row
        const std::size_t kept = std::min(count, width - std::min(x, width));
        append(kept, [&](std::size_t i) { return half_bytes ? nibble(value, i) : value; });
        x += kept;
      } else if (value == 0) {  // the end of a row
        append((width - out.size() % width) % width, nothing);
        x = 0;
      } else if (value == 1) {  // the end of the picture
        break;
      } else if (value == 2) {  // a step right and on
        if (left() < 2) break;
        const auto right = static_cast<std::size_t>(u8());
        append(right + static_cast<std::size_t>(u8()) * width, nothing);
        x = out.size() % width;
      } else {  // single pixels, to a whole number of 16-bit words
        const std::size_t pixels = std::min(all - out.size(), static_cast<std::size_t>(value));
        const std::size_t bytes = half_bytes ? (pixels + 1) / 2 : pixels;
        if (left() < bytes) break;
        const Bytes data = take(bytes);
        append(pixels,
               [&](std::size_t i) { return half_bytes ? nibble(data[i / 2], i) : data[i]; });
        x += static_cast<std::size_t>(value);
        if (at() % 2 != 0 && left() > 0) seek(at() + 1);
      }
    }
    return out;
  }

  const std::string& name_;
  Header header_;
};

}  // namespace

ImageInfo bmp_info(Bytes bytes, const std::string& name, const DecodeOptions& options) {
  const Header header = Reader(bytes, name).header();
  check_size(name, header.width, header.height, options);
  check_filled(name, header.width, header.height, bytes.size());
  return {.format = ImageFormat::kBmp,
          .width = static_cast<int>(header.width),
          .height = static_cast<int>(header.height),
          .channels = header.bits == 32 ? 4 : 3};
}

void decode_bmp(Bytes bytes, const std::string& name, Image& out, const DecodeOptions& options) {
  Reader reader(bytes, name);
  const Header& header = reader.header();
  check_size(name, header.width, header.height, options);
  check_filled(name, header.width, header.height, bytes.size());
  const bool runs = header.compression == kRle8 || header.compression == kRle4;
  runs ? reader.decode_runs(out) : reader.decode_rows(out);
}

}  // namespace invp::decoders
