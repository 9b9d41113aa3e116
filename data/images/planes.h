// The operations of transform.h on an image whose three channels are stored apart. Each is then a
// loop over neighboring bytes, which the compiler vectorises. Used by the augmentations; results
// are those of transform.h to the bit.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "data/images/image.h"

namespace invp {

class NormalizationTable;

/// Bytes that vector loads and stores may touch after the last pixel of a buffer.
inline constexpr std::size_t kPadding = 64;

/// Three planes of width x height bytes.
class Planes {
 public:
  int width = 0, height = 0;

  /// Keeps the storage where it is large enough; the pixels are then unspecified.
  void reshape(int w, int h) {
    width = w;
    height = h;
    spacing_ = area() + kPadding;
    if (bytes_.size() < 3 * spacing_) bytes_.resize(3 * spacing_);
  }
  std::size_t area() const {
    return static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  }
  std::uint8_t* plane(int c) { return bytes_.data() + static_cast<std::size_t>(c) * spacing_; }
  const std::uint8_t* plane(int c) const {
    return bytes_.data() + static_cast<std::size_t>(c) * spacing_;
  }

 private:
  std::vector<std::uint8_t> bytes_;
  std::size_t spacing_ = 0;
};

/// An interleaved row of `width` pixels to three rows, and back.
void split_row(const std::uint8_t* rgb, int width, std::uint8_t* r, std::uint8_t* g,
               std::uint8_t* b);
void merge_row(const std::uint8_t* r, const std::uint8_t* g, const std::uint8_t* b, int width,
               std::uint8_t* rgb);
void to_planes(ImageView image, Planes& planes);
void to_image(const Planes& planes, Image& image);

void adjust_brightness(Planes& planes, double factor);
void adjust_contrast(Planes& planes, double factor);
void adjust_saturation(Planes& planes, double factor);
void adjust_hue(Planes& planes, double factor);
void grayscale(Planes& planes);
/// `scratch` is working memory, resized as needed.
void gaussian_blur(Planes& planes, double sigma, std::vector<std::uint8_t>& scratch);
void to_tensor(const Planes& planes, const NormalizationTable& table, bool flip, float* out);
/// The same into rows that begin `row_floats` apart.
void to_tensor(const Planes& planes, const NormalizationTable& table, bool flip, float* out,
               std::size_t row_floats);

/// Buffers and weights of a resize. Code that resizes many images keeps one, to allocate once.
struct ResizeScratch {
  struct Axis {
    int taps = 0;                       // of the output with the most
    std::vector<int> first;             // input index of tap 0, per output
    std::vector<std::int32_t> weights;  // taps per output; zeros after the last used one
  };
  Axis horizontal, vertical;
  std::vector<std::uint8_t> rows;         // between the passes
  std::vector<std::uint8_t> row;          // one interleaved output row
  std::vector<std::uint8_t> permutation;  // resize_rows_avx512.cpp: its form of the horizontal axis
  std::vector<std::int8_t> digits;
};

/// The pixels `window` of resize(image, width, height), into planes of the window's size.
void resize_window(ImageView image, int width, int height, const Box& window, Planes& out,
                   ResizeScratch& scratch);

}  // namespace invp
