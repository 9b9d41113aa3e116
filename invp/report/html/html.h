// Encodings for what goes into a page, so that no text from a file can end an attribute, an element
// or a script.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "engine/core/text.h"
#include "invp/report/svg/markup.h"

namespace invp {

/// The JSON with every "<" written as \u003c, for a <script type="application/json">.
std::string script_safe(std::string json);

std::string base64(std::span<const std::uint8_t> bytes);

/// "data:image/jpeg;base64,...".
std::string jpeg_uri(std::span<const std::uint8_t> jpeg);

// The page's own files, built in (cmake/EmbedText.cmake).
std::string_view page_html();
std::string_view page_css();
std::string_view page_js();

}  // namespace invp
