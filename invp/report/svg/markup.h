// Escaping of text for HTML and SVG, so that no text can end an attribute or an element; and the
// first lines of an SVG figure.
#pragma once

#include <string>
#include <string_view>

namespace invp {

/// Text for an element or an attribute in double quotes: escapes & < > " ', and replaces control
/// characters and bytes that are no UTF-8 by U+FFFD.
std::string html_escaped(std::string_view text);

/// The opening tag of an SVG of this size in pixels, its title, its style and its background.
std::string svg_head(double width, double height, const std::string& title, const char* style);

}  // namespace invp
