#include "engine/files/pickle_text.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace invp {
namespace {

/// `digits` hexadecimal digits from the front of `text`, which loses them.
std::optional<std::uint32_t> take_hex(std::string_view& text, std::size_t digits) {
  std::uint32_t value = 0;
  if (text.size() < digits) return std::nullopt;
  const char* end = text.data() + digits;
  if (std::from_chars(text.data(), end, value, 16).ptr != end) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

void append_utf8(std::uint32_t point, std::string& out) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((point >> shift) & 0x3F)); };
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0 | (point >> 6));
    tail(0);
  } else if (point < 0x10000) {
    out += static_cast<char>(0xE0 | (point >> 12));
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0 | ((point >> 18) & 0x07));
    tail(12);
    tail(6);
    tail(0);
  }
}

template <class T>
std::optional<T> parse_whole(std::string_view text) {
  T value = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return value;
}

}  // namespace

std::optional<std::int64_t> parse_pickle_integer(std::string_view line) {
  if (line.ends_with('L')) line.remove_suffix(1);
  return parse_whole<std::int64_t>(line);
}

std::optional<double> parse_pickle_real(std::string_view line) {
  return parse_whole<double>(line);
}

std::optional<std::string> parse_pickle_string(std::string_view line) {
  if (line.size() < 2 || line.front() != line.back() || (line[0] != '\'' && line[0] != '"')) {
    return std::nullopt;
  }
  line = line.substr(1, line.size() - 2);
  constexpr std::pair<char, char> kEscapes[] = {
      {'\\', '\\'}, {'\'', '\''}, {'"', '"'},  {'n', '\n'}, {'t', '\t'},
      {'r', '\r'},  {'a', '\a'},  {'b', '\b'}, {'f', '\f'}, {'v', '\v'}};
  std::string bytes;
  while (!line.empty()) {
    const char c = line.front();
    line.remove_prefix(1);
    if (c != '\\') {
      bytes += c;
      continue;
    }
    if (line.empty()) return std::nullopt;
    const char escape = line.front();
    line.remove_prefix(1);
    const auto* simple = std::ranges::find(kEscapes, escape, &std::pair<char, char>::first);
    if (simple != std::end(kEscapes)) {
      bytes += simple->second;
    } else if (escape == 'x') {
      const auto value = take_hex(line, 2);
      if (!value) return std::nullopt;
      bytes += static_cast<char>(*value);
    } else {
      return std::nullopt;
    }
  }
  return bytes;
}

std::optional<std::string> parse_pickle_unicode(std::string_view line) {
  std::string text;
  while (!line.empty()) {
    const auto c = static_cast<unsigned char>(line.front());
    const bool escape = c == '\\' && line.size() > 1 && (line[1] == 'u' || line[1] == 'U');
    if (!escape) {
      append_utf8(c, text);
      line.remove_prefix(1);
      continue;
    }
    const std::size_t digits = line[1] == 'u' ? 4 : 8;
    line.remove_prefix(2);
    const auto point = take_hex(line, digits);
    if (!point) return std::nullopt;
    append_utf8(*point, text);
  }
  return text;
}

std::optional<std::string> latin1_bytes(std::string_view utf8) {
  std::string bytes;
  bytes.reserve(utf8.size());
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto first = static_cast<unsigned char>(utf8[i]);
    if (first < 0x80) {
      bytes += static_cast<char>(first);
      continue;
    }
    if ((first & 0xFC) != 0xC0 || i + 1 == utf8.size()) return std::nullopt;
    const auto second = static_cast<unsigned char>(utf8[++i]);
    bytes += static_cast<char>(((first & 0x03) << 6) | (second & 0x3F));
  }
  return bytes;
}

}  // namespace invp
