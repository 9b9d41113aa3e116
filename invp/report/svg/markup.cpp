#include "invp/report/svg/markup.h"

#include <cstdint>

#include "engine/core/error.h"
#include "engine/core/text.h"

namespace invp {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

}  // namespace

std::string html_escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const char c = text[0];
    const bool control = length == 1 && (static_cast<std::uint8_t>(c) < 0x20 || c == 0x7F);
    if (length == 0 || (control && c != '\n' && c != '\t')) {
      out += kReplacement;
    } else if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (c == '\'') {
      out += "&#39;";
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

std::string svg_head(double width, double height, const std::string& title, const char* style) {
  const std::string w = fixed(width, 0);
  const std::string h = fixed(height, 0);
  return message("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"", w, "\" height=\"", h,
                 "\" viewBox=\"0 0 ", w, ' ', h, "\" role=\"img\">\n<title>", html_escaped(title),
                 "</title>\n", style, "<rect width=\"100%\" height=\"100%\" fill=\"#f7f8fa\"/>\n");
}

}  // namespace invp
