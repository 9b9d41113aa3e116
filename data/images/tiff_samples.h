// What the samples of a TIFF mean. Apart from decode_tiff.cpp, which fetches them.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "data/images/decoders.h"

namespace invp::decoders {

struct TiffLayout {
  int width = 0, height = 0;  ///< as stored
  int bits = 1;               ///< per sample
  int samples = 1;            ///< per pixel, alpha and others included
  bool planes = false;        ///< each kind of sample by itself, not pixel by pixel
  int photometric = 0;        ///< PHOTOMETRIC_... of libtiff
  int compression = 1;
  int orientation = 1;
  bool premultiplied = false;  ///< the first sample beyond the colors is an alpha that they hold
  std::vector<std::array<std::uint8_t, 3>> palette;

  /// Samples of a pixel that lie side by side.
  std::size_t adjacent() const { return planes ? 1 : static_cast<std::size_t>(samples); }
  std::size_t row_bytes(int columns) const {
    return (static_cast<std::size_t>(columns) * adjacent() * static_cast<std::size_t>(bits) + 7) /
           8;
  }
};

/// Why such samples are not read; empty if they are.
std::string obstacle_of(const TiffLayout& layout);

/// One row of a strip or tile on its way to RGB.
class SampleRow {
 public:
  /// `layout` must outlive it and have no obstacle.
  SampleRow(const TiffLayout& layout, int columns);

  /// Takes the bytes of the row, those of one plane if they are separate.
  void unpack(const std::uint8_t* bytes, std::size_t plane);
  /// Writes the first `columns` pixels.
  void to_rgb(int columns, std::uint8_t* out) const;

 private:
  std::uint8_t eight_bits(int value) const;

  const TiffLayout& layout_;
  std::size_t columns_;
  std::vector<std::uint16_t> values_;  ///< of pixel x and sample s at x * samples + s
};

}  // namespace invp::decoders
