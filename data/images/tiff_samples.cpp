#include "data/images/tiff_samples.h"

#include <tiff.h>

#include <algorithm>
#include <cstring>

namespace invp::decoders {
namespace {

constexpr int kMaxSamples = 8;

struct Photometric {
  int code;
  int colors;             ///< samples of a color
  std::vector<int> bits;  ///< that are read
};

const std::vector<Photometric>& photometrics() {
  static const std::vector<Photometric> kinds = {
      {PHOTOMETRIC_MINISWHITE, 1, {1, 2, 4, 8, 16}}, {PHOTOMETRIC_MINISBLACK, 1, {1, 2, 4, 8, 16}},
      {PHOTOMETRIC_PALETTE, 1, {1, 2, 4, 8}},        {PHOTOMETRIC_RGB, 3, {8, 16}},
      {PHOTOMETRIC_SEPARATED, 4, {8, 16}},           {PHOTOMETRIC_YCBCR, 3, {8}},
  };
  return kinds;
}

const Photometric* find(int code) {
  const auto found = std::ranges::find(photometrics(), code, &Photometric::code);
  return found == photometrics().end() ? nullptr : &*found;
}

}  // namespace

std::string obstacle_of(const TiffLayout& layout) {
  const Photometric* kind = find(layout.photometric);
  if (kind == nullptr) {
    const bool lab = layout.photometric == PHOTOMETRIC_CIELAB ||
                     layout.photometric == PHOTOMETRIC_ICCLAB ||
                     layout.photometric == PHOTOMETRIC_ITULAB;
    return lab ? "L*a*b* colors" : message("photometric interpretation ", layout.photometric);
  }
  if (std::ranges::find(kind->bits, layout.bits) == kind->bits.end())
    return message(layout.bits, " bits per sample");
  if (layout.samples < kind->colors || layout.samples > kMaxSamples)
    return message(layout.samples, " samples per pixel");
  return {};
}

SampleRow::SampleRow(const TiffLayout& layout, int columns)
    : layout_(layout),
      columns_(static_cast<std::size_t>(columns)),
      values_(columns_ * static_cast<std::size_t>(layout.samples)) {}

void SampleRow::unpack(const std::uint8_t* bytes, std::size_t plane) {
  const std::size_t count = columns_ * layout_.adjacent();
  const std::size_t step = layout_.planes ? static_cast<std::size_t>(layout_.samples) : 1;
  std::uint16_t* to = values_.data() + plane;
  const auto bits = static_cast<std::size_t>(layout_.bits);
  for (std::size_t i = 0; i < count; ++i, to += step) {
    if (bits == 16) {
      std::memcpy(to, bytes + 2 * i, 2);  // libtiff has brought it into the machine's byte order
    } else if (bits == 8) {
      *to = bytes[i];
    } else {
      const std::size_t shift = 8 - bits - i * bits % 8;
      *to = static_cast<std::uint16_t>(bytes[i * bits / 8] >> shift & ((1 << bits) - 1));
    }
  }
}

/// Gray is scaled and rounded.
std::uint8_t SampleRow::eight_bits(int value) const {
  const int largest = (1 << layout_.bits) - 1;
  return static_cast<std::uint8_t>((value * 255 + largest / 2) / largest);
}

void SampleRow::to_rgb(int columns, std::uint8_t* out) const {
  const auto samples = static_cast<std::size_t>(layout_.samples);
  const auto colors = static_cast<std::size_t>(find(layout_.photometric)->colors);
  const bool divide = layout_.premultiplied && samples > colors &&
                      layout_.photometric != PHOTOMETRIC_PALETTE &&
                      layout_.photometric != PHOTOMETRIC_SEPARATED;
  // Colors of 16 bits keep their high byte.
  const auto high = [&](int value) { return layout_.bits == 16 ? value >> 8 : value; };
  for (std::size_t x = 0; x < static_cast<std::size_t>(columns); ++x, out += 3) {
    const std::uint16_t* v = &values_[x * samples];
    switch (layout_.photometric) {
      case PHOTOMETRIC_MINISWHITE:
        std::fill_n(out, 3, static_cast<std::uint8_t>(255 - eight_bits(v[0])));
        break;
      case PHOTOMETRIC_MINISBLACK: std::fill_n(out, 3, eight_bits(v[0])); break;
      case PHOTOMETRIC_PALETTE: std::ranges::copy(layout_.palette[v[0]], out); break;
      case PHOTOMETRIC_SEPARATED:
        ink_to_rgb(high(v[0]), high(v[1]), high(v[2]), high(v[3]), out);
        break;
      default:
        for (std::size_t c = 0; c < 3; ++c) out[c] = static_cast<std::uint8_t>(high(v[c]));
    }
    if (!divide) continue;
    const int alpha = high(v[colors]);
    for (std::size_t c = 0; c < 3; ++c)
      out[c] = static_cast<std::uint8_t>(alpha == 0 ? 0 : std::min(255, out[c] * 255 / alpha));
  }
}

}  // namespace invp::decoders
