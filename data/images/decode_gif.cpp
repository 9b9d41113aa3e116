// The first picture of a GIF on its screen, after the GIF89a specification and, in what that leaves
// open, Pillow: the screen grows to hold the picture; around it stands the transparent color, or
// else color 0; colors beyond the end of the palette are black; without a palette they are gray.
#include <algorithm>
#include <array>

#include "data/images/byte_reader.h"

namespace invp::decoders {
namespace {

constexpr int kMaxCodeBits = 12;
constexpr std::size_t kMaxCodes = 1 << kMaxCodeBits;

using Palette = std::array<std::uint8_t, 768>;

Palette gray_palette() {
  Palette palette{};
  for (std::size_t i = 0; i < palette.size(); ++i) palette[i] = static_cast<std::uint8_t>(i / 3);
  return palette;
}

struct Header {
  int width = 0, height = 0;  ///< of the screen
  Box frame;
  bool interlaced = false;
  int around = 0;  ///< the color outside of the frame
  Palette palette = gray_palette();
};

Palette read_palette(ByteReader& reader, int flags) {
  Palette palette{};
  std::ranges::copy(reader.take(std::size_t{3} << ((flags & 7) + 1)), palette.begin());
  return palette;
}

/// A block of data: a length, then so many bytes. The block of length 0 ends a chain of them.
Bytes read_block(ByteReader& reader) {
  return reader.take(static_cast<std::size_t>(reader.u8()));
}

void read_extension(ByteReader& reader, Header& header) {
  constexpr int kGraphicControl = 0xf9;
  const int kind = reader.u8();
  Bytes block = read_block(reader);
  if (kind == kGraphicControl && block.size() >= 4 && (block[0] & 1) != 0) header.around = block[3];
  while (!block.empty()) block = read_block(reader);
}

/// Leaves the reader at the compressed pixels.
Header read_header(ByteReader& reader, const std::string& name) {
  constexpr int kHasPalette = 0x80, kInterlaced = 0x40;
  Header header;
  reader.seek(6);
  header.width = reader.u16();
  header.height = reader.u16();
  const int flags = reader.u8();
  reader.seek(reader.at() + 2);
  if ((flags & kHasPalette) != 0) header.palette = read_palette(reader, flags);
  for (;;) {
    const int mark = reader.u8();
    if (mark == ';') refuse(name, "GIF: there is no picture in it");
    if (mark == '!') read_extension(reader, header);
    if (mark == ',') break;
  }
  Box& frame = header.frame;
  frame.x = reader.u16();
  frame.y = reader.u16();
  frame.width = reader.u16();
  frame.height = reader.u16();
  const int frame_flags = reader.u8();
  header.interlaced = (frame_flags & kInterlaced) != 0;
  if ((frame_flags & kHasPalette) != 0) header.palette = read_palette(reader, frame_flags);
  if (frame.width == 0 || frame.height == 0)
    refuse(name, message("GIF: a picture of ", frame.width, " x ", frame.height));
  header.width = std::max(header.width, frame.x + frame.width);
  header.height = std::max(header.height, frame.y + frame.height);
  return header;
}

/// The codes of the picture, of growing length, from the bits of a chain of blocks.
class Codes {
 public:
  explicit Codes(ByteReader& reader) : reader_(reader) {}

  /// -1 after the last block.
  int next(int bits) {
    while (count_ < bits) {
      if (block_.empty()) block_ = read_block(reader_);
      if (block_.empty()) return -1;
      buffer_ |= std::uint32_t{block_.front()} << count_;
      block_ = block_.subspan(1);
      count_ += 8;
    }
    const int code = static_cast<int>(buffer_ & ((1u << bits) - 1));
    buffer_ >>= bits;
    count_ -= bits;
    return code;
  }

 private:
  ByteReader& reader_;
  Bytes block_;
  std::uint32_t buffer_ = 0;
  int count_ = 0;  ///< bits in the buffer
};

/// Lempel-Ziv-Welch: each code is a pixel, or an earlier code and the pixel after it.
class Pixels {
 public:
  Pixels(ByteReader& reader, const std::string& name)
      : name_(name), first_bits_(reader.u8()), codes_(reader) {
    if (first_bits_ > 8) refuse(name, message("GIF: pixels of ", first_bits_, " bits"));
    clear();
  }

  /// Calls put(index) for each pixel until it returns false. False if the data ends before.
  template <class Put>
  bool read(const Put& put) {
    for (;;) {
      const int code = codes_.next(bits_);
      if (code < 0 || code == end()) return false;
      if (code == end() - 1) {
        clear();
        continue;
      }
      if (code > next_ || (last_ < 0 && code > end()))
        refuse(name_, "GIF: a code that was never defined");
      const std::size_t length = expand(code);
      for (std::size_t i = length; i-- > 0;) {
        if (!put(backwards_[i])) return true;
      }
      add(backwards_[length - 1]);
      last_ = code;
    }
  }

 private:
  int end() const { return (1 << first_bits_) + 1; }

  void clear() {
    bits_ = first_bits_ + 1;
    next_ = end() + 1;
    last_ = -1;
  }

  /// The pixels of a code, last first. Returns how many.
  std::size_t expand(int code) {
    std::size_t length = 0;
    if (code == next_) {  // the code before, and its first pixel again
      backwards_[length++] = first_of_last_;
      code = last_;
    }
    for (; code > end(); code = before_[static_cast<std::size_t>(code)])
      backwards_[length++] = pixel_[static_cast<std::size_t>(code)];
    backwards_[length++] = first_of_last_ = static_cast<std::uint8_t>(code);
    return length;
  }

  void add(std::uint8_t pixel) {
    if (last_ < 0 || static_cast<std::size_t>(next_) == kMaxCodes) return;
    before_[static_cast<std::size_t>(next_)] = static_cast<std::uint16_t>(last_);
    pixel_[static_cast<std::size_t>(next_)] = pixel;
    if (++next_ == 1 << bits_ && bits_ < kMaxCodeBits) ++bits_;
  }

  const std::string& name_;
  int first_bits_;
  Codes codes_;
  int bits_ = 0;
  int next_ = 0;   ///< the next code to define
  int last_ = -1;  ///< the code before; -1 after a clear code
  std::uint8_t first_of_last_ = 0;
  std::array<std::uint16_t, kMaxCodes> before_;
  std::array<std::uint8_t, kMaxCodes> pixel_;
  std::array<std::uint8_t, kMaxCodes + 1> backwards_;
};

/// The rows of a picture as they are stored; interlaced: every eighth, then those between.
class Rows {
 public:
  Rows(int height, bool interlaced) : height_(height), pass_(interlaced ? 0 : 4) {}

  int row() const { return row_; }
  /// False after the last.
  bool advance() {
    row_ += kStep[pass_];
    while (row_ >= height_) {
      if (pass_ >= 3) return false;
      row_ = kStart[++pass_];
    }
    return true;
  }

 private:
  static constexpr std::array kStart = {0, 4, 2, 1, 0};
  static constexpr std::array kStep = {8, 8, 4, 2, 1};
  int height_;
  std::size_t pass_;
  int row_ = 0;
};

}  // namespace

ImageInfo gif_info(Bytes bytes, const std::string& name, const DecodeOptions& options) {
  ByteReader reader(bytes, name, ImageFormat::kGif);
  const Header header = read_header(reader, name);
  check_size(name, header.width, header.height, options);
  check_filled(name, header.width, header.height, bytes.size());
  return {
      .format = ImageFormat::kGif, .width = header.width, .height = header.height, .channels = 3};
}

void decode_gif(Bytes bytes, const std::string& name, Image& out, const DecodeOptions& options) {
  ByteReader reader(bytes, name, ImageFormat::kGif);
  const Header header = read_header(reader, name);
  check_size(name, header.width, header.height, options);
  check_filled(name, header.width, header.height, bytes.size());
  const auto store = [&](int index, std::uint8_t* to) {
    std::copy_n(header.palette.begin() + std::ptrdiff_t{3} * index, 3, to);
  };
  out.reshape(header.width, header.height);
  for (std::size_t i = 0; i < out.pixels.size(); i += 3) store(header.around, &out.pixels[i]);
  const Box& frame = header.frame;
  Rows rows(frame.height, header.interlaced);
  int x = 0;
  const bool whole = Pixels(reader, name).read([&](int index) {
    store(index, out.at(frame.x + x, frame.y + rows.row()));
    if (++x < frame.width) return true;
    x = 0;
    return rows.advance();
  });
  if (!whole) refuse_cut(name, ImageFormat::kGif);
}

}  // namespace invp::decoders
