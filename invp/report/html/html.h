// What goes into a page, made safe for it: nothing that comes from a file can end an attribute, an
// element or a script.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace invp {

/// Text for an element or an attribute in double quotes: & < > " ' are escaped, what is no UTF-8
/// and control characters become U+FFFD.
std::string html_escaped(std::string_view text);

/// JSON for a <script type="application/json">: no '<' is left in it.
std::string script_safe(std::string json);

std::string base64(std::span<const std::uint8_t> bytes);

/// "data:image/jpeg;base64,...".
std::string jpeg_uri(std::span<const std::uint8_t> jpeg);

/// printf for one number.
std::string formatted_number(const char* format, double value);

/// "1 image", "12 images".
std::string counted(std::int64_t count, std::string_view noun);

// The page's own files, built in (cmake/EmbedText.cmake).
std::string_view page_html();
std::string_view page_css();
std::string_view page_js();

}  // namespace invp
