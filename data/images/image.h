// The image type of all of data/: 8-bit RGB, rows from top to bottom, no padding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace invp {

/// A rectangle of pixels: columns [x, x + width), rows [y, y + height).
struct Box {
  int x = 0, y = 0, width = 0, height = 0;
  bool operator==(const Box&) const = default;
};

/// `height` rows of `width` interleaved R, G, B bytes.
struct Image {
  int width = 0, height = 0;
  std::vector<std::uint8_t> pixels;

  Image() = default;
  Image(int w, int h) { reshape(w, h); }

  static std::size_t bytes(int w, int h) {
    return static_cast<std::size_t>(w) * static_cast<std::size_t>(h) * 3;
  }
  /// Changes the size and keeps the storage where it is large enough; the pixels are then
  /// unspecified.
  void reshape(int w, int h) {
    width = w;
    height = h;
    pixels.resize(bytes(w, h));
  }
  bool empty() const { return pixels.empty(); }
  std::size_t stride() const { return static_cast<std::size_t>(width) * 3; }
  std::uint8_t* row(int y) { return pixels.data() + static_cast<std::size_t>(y) * stride(); }
  const std::uint8_t* row(int y) const {
    return pixels.data() + static_cast<std::size_t>(y) * stride();
  }
  std::uint8_t* at(int x, int y) { return row(y) + static_cast<std::size_t>(x) * 3; }
  const std::uint8_t* at(int x, int y) const { return row(y) + static_cast<std::size_t>(x) * 3; }
  Box box() const { return {0, 0, width, height}; }

  bool operator==(const Image&) const = default;
};

/// Pixels that something else owns, or a rectangle of them: rows of RGB, `stride` bytes apart.
struct ImageView {
  const std::uint8_t* pixels = nullptr;
  int width = 0, height = 0;
  std::size_t stride = 0;

  ImageView() = default;
  ImageView(const std::uint8_t* first, int w, int h, std::size_t row_bytes)
      : pixels(first), width(w), height(h), stride(row_bytes) {}
  ImageView(const Image& image)  // NOLINT(google-explicit-constructor): a view is what an Image is
      : ImageView(image.pixels.data(), image.width, image.height, image.stride()) {}

  const std::uint8_t* row(int y) const { return pixels + static_cast<std::size_t>(y) * stride; }
  /// The part of the view inside `box`, which must lie in it.
  ImageView part(const Box& box) const {
    return {row(box.y) + static_cast<std::size_t>(box.x) * 3, box.width, box.height, stride};
  }
};

}  // namespace invp
