#include "invp/report/html/html.h"

namespace invp {

std::string script_safe(std::string json) {
  for (std::size_t at = json.find('<'); at != std::string::npos; at = json.find('<', at))
    json.replace(at, 1, "\\u003c");
  return json;
}

std::string base64(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t there = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8 | (j < there ? bytes[i + j] : std::uint32_t{0});
    for (std::size_t j = 0; j < 4; ++j)
      out += j <= there ? kDigits[group >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

std::string jpeg_uri(std::span<const std::uint8_t> jpeg) {
  return "data:image/jpeg;base64," + base64(jpeg);
}

}  // namespace invp
