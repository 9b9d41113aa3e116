// Netpbm's PBM, PGM and PPM in plain (P1 to P3) and raw form (P4 to P6), after the formats' manual
// pages. A sample v of a file whose largest value is `maxval` becomes round(255 v / maxval), halves
// to even, as in Pillow.
#include <algorithm>
#include <cmath>
#include <vector>

#include "data/images/decoders.h"

namespace invp::decoders {
namespace {

bool is_space(std::uint8_t c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

bool is_digit(std::uint8_t c) {
  return c >= '0' && c <= '9';
}

/// Reads the numbers of a header and of plain samples.
class Reader {
 public:
  Reader(Bytes bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  bool at_end() const { return at_ == bytes_.size(); }
  Bytes rest() const { return bytes_.subspan(at_); }

  /// Skips white space and comments, which reach from # to the end of the line.
  void skip_space() {
    bool comment = false;
    for (; at_ < bytes_.size(); ++at_) {
      const std::uint8_t c = bytes_[at_];
      if (c == '#') comment = true;
      if (c == '\n' || c == '\r') comment = false;
      if (!comment && !is_space(c)) return;
    }
  }

  /// The next number. `what` appears in the error.
  int number(const char* what) {
    skip_space();
    if (at_end() || !is_digit(bytes_[at_])) refuse(name_, message("PNM: ", what, " is missing"));
    std::int64_t value = 0;
    for (; at_ < bytes_.size() && is_digit(bytes_[at_]); ++at_) {
      value = value * 10 + (bytes_[at_] - '0');
      if (value > 1'000'000'000) refuse(name_, message("PNM: ", what, " is too large"));
    }
    return static_cast<int>(value);
  }

  /// The next digit 0 or 1: samples of a plain bitmap may stand without space between them.
  int bit() {
    skip_space();
    const int value = bytes_[at_] - '0';
    if (value != 0 && value != 1)
      refuse(name_, "PNM: a bitmap holds another character than 0 and 1");
    ++at_;
    return value;
  }

  /// The one byte between the header and raw samples.
  void skip_one_space() {
    if (at_end()) return;  // the caller reports the missing samples
    if (!is_space(bytes_[at_])) refuse(name_, "PNM: the header does not end with white space");
    ++at_;
  }

 private:
  Bytes bytes_;
  const std::string& name_;
  std::size_t at_ = 2;  ///< after the magic number
};

struct Header {
  bool plain = false;   ///< samples are decimal numbers
  bool bitmap = false;  ///< one bit per pixel, 1 is black
  int channels = 0;     ///< 1 or 3
  int width = 0, height = 0;
  int maxval = 1;

  /// The least that the samples take in a file.
  std::size_t fewest_bytes() const {
    const std::size_t rows = static_cast<std::size_t>(height);
    if (bitmap) return plain ? samples() : (static_cast<std::size_t>(width) + 7) / 8 * rows;
    return plain ? 2 * samples() - 1 : samples() * (maxval > 255 ? 2 : 1);
  }
  std::size_t samples() const {
    return static_cast<std::size_t>(width) * static_cast<std::size_t>(height) *
           static_cast<std::size_t>(channels);
  }
};

Header read_header(Reader& reader, Bytes bytes, const std::string& name,
                   const DecodeOptions& options) {
  const int kind = bytes[1] - '0';  // 1 to 6, checked by decode.cpp
  Header header;
  header.plain = kind <= 3;
  header.bitmap = kind % 3 == 1;
  header.channels = kind % 3 == 0 ? 3 : 1;
  header.width = reader.number("the width");
  header.height = reader.number("the height");
  if (!header.bitmap) {
    header.maxval = reader.number("the largest value");
    if (header.maxval < 1 || header.maxval > 65535) {
      refuse(name,
             message("PNM: the largest value is ", header.maxval, ", allowed are 1 to 65535"));
    }
  }
  check_size(name, header.width, header.height, options);
  if (!header.plain) reader.skip_one_space();
  return header;
}

/// What each possible sample becomes, from 0 to maxval.
std::vector<std::uint8_t> sample_table(const Header& header) {
  std::vector<std::uint8_t> table(static_cast<std::size_t>(header.maxval) + 1);
  for (std::size_t v = 0; v < table.size(); ++v) {
    const double share = static_cast<double>(v) / header.maxval;
    table[v] = static_cast<std::uint8_t>(std::nearbyint(share * 255));
  }
  return table;
}

/// Calls put(i, value) with the 8-bit value of each sample. Returns how many there were.
template <class Put>
std::size_t read_plain(Reader& reader, const Header& header, const std::string& name,
                       const Put& put) {
  const auto table = sample_table(header);
  for (std::size_t i = 0; i < header.samples(); ++i) {
    reader.skip_space();
    if (reader.at_end()) return i;
    const int value = header.bitmap ? 1 - reader.bit() : reader.number("a sample");
    if (value > header.maxval) {
      refuse(name, message("PNM: a sample is ", value, ", the largest value is ", header.maxval));
    }
    put(i, table[static_cast<std::size_t>(value)]);
  }
  return header.samples();
}

/// Rows of a raw bitmap start at whole bytes, the highest bit is the left pixel.
template <class Put>
std::size_t read_bits(Bytes bytes, const Header& header, const Put& put) {
  const auto width = static_cast<std::size_t>(header.width);
  const std::size_t row_bytes = (width + 7) / 8;
  for (std::size_t i = 0; i < header.samples(); ++i) {
    const std::size_t x = i % width;
    const std::size_t at = i / width * row_bytes + x / 8;
    if (at >= bytes.size()) return i;
    put(i, (bytes[at] >> (7 - x % 8) & 1) == 1 ? 0 : 255);
  }
  return header.samples();
}

/// One byte per sample, or two with the higher first where maxval needs them.
template <class Put>
std::size_t read_raw(Bytes bytes, const Header& header, const Put& put) {
  const auto table = sample_table(header);
  const std::size_t size = header.maxval > 255 ? 2 : 1;
  const std::size_t there = std::min(header.samples(), bytes.size() / size);
  for (std::size_t i = 0; i < there; ++i) {
    const std::size_t value =
        size == 1 ? bytes[i] : std::size_t{bytes[2 * i]} << 8 | bytes[2 * i + 1];
    // As in Pillow, a sample above maxval counts as maxval.
    put(i, table[std::min(value, table.size() - 1)]);
  }
  return there;
}

}  // namespace

ImageInfo pnm_info(Bytes bytes, const std::string& name, const DecodeOptions& options) {
  Reader reader(bytes, name);
  const Header header = read_header(reader, bytes, name, options);
  return {.format = ImageFormat::kPnm,
          .width = header.width,
          .height = header.height,
          .channels = header.channels};
}

void decode_pnm(Bytes bytes, const std::string& name, Image& out, const DecodeOptions& options) {
  Reader reader(bytes, name);
  const Header header = read_header(reader, bytes, name, options);
  if (reader.rest().size() < header.fewest_bytes() && !options.allow_truncated)
    refuse_cut(name, ImageFormat::kPnm);
  out.reshape(header.width, header.height);
  std::fill(out.pixels.begin(), out.pixels.end(), std::uint8_t{0});
  const auto put = [&](std::size_t i, int value) {
    const auto sample = static_cast<std::uint8_t>(value);
    if (header.channels == 3) {
      out.pixels[i] = sample;
    } else {
      std::fill_n(out.pixels.begin() + static_cast<std::ptrdiff_t>(3 * i), 3, sample);
    }
  };
  const std::size_t read = header.plain    ? read_plain(reader, header, name, put)
                           : header.bitmap ? read_bits(reader.rest(), header, put)
                                           : read_raw(reader.rest(), header, put);
  if (read < header.samples() && !options.allow_truncated) refuse_cut(name, ImageFormat::kPnm);
}

}  // namespace invp::decoders
