// Boxes with labels on a picture, legible on whatever is there.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "data/images/draw_text.h"
#include "data/images/image.h"

namespace invp {

enum class BoxStyle : std::uint8_t { kSolid, kDashed };

/// Columns [x0, x1) and rows [y0, y1), in pixels of the picture.
struct DrawnBox {
  double x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  std::string text;       ///< UTF-8 from any file, shown as printable() has it; empty: no label
  std::int64_t kind = 0;  ///< number of the class: it alone decides the color
  BoxStyle style = BoxStyle::kSolid;
};

/// Eight colors that color-blind people tell apart, then the same in a lighter tone, and so on
/// again.
Rgb kind_color(std::int64_t kind);

/// Thickness of frames and size of letters, in pixels, on a picture of this size. Where labels
/// would cover much of it, letters are down to 0.7 times as large.
int frame_width(int width, int height);
double letter_size(int width, int height);

/// Draws frames, larger boxes first, with a dark line on both sides, and then the labels, each on a
/// plate in its box's color. A plate touches its box, lies in the picture as a whole, and keeps
/// off labels of earlier boxes and off small boxes where there is room; a text that is too long is
/// cut. Boxes are clipped to the picture; of those that lie outside, are empty or are not numbers
/// nothing is drawn.
void draw_boxes(Image& image, std::span<const DrawnBox> boxes);

}  // namespace invp
