// Text on pictures, in letters that are built in: no font has to be installed.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "data/images/image.h"

namespace invp {

using Rgb = std::array<std::uint8_t, 3>;  ///< R, G, B

// Parts of the size, which is that of an em in pixels.
inline constexpr double kCapHeight = 0.73;  ///< capitals above the baseline
inline constexpr double kAscent = 0.95;     ///< the highest letters with accents
inline constexpr double kDescent = 0.25;    ///< the lowest below it

/// Width in pixels. `text` is UTF-8; a character that is not among the letters (ASCII, Latin-1)
/// counts as the placeholder, a hollow box.
double text_width(std::string_view text, double size);

/// The text as it is if it is at most `width` wide, else cut and ended by "…". Empty if not even
/// one letter fits.
std::string fitted_text(std::string_view text, double size, double width);

/// Draws from x on, on the baseline y; what leaves the picture is cut off.
void draw_text(Image& image, std::string_view text, double x, double y, double size, Rgb color);

/// The file letters.txt, built in (cmake/EmbedText.cmake).
std::string_view letters_txt();

}  // namespace invp
