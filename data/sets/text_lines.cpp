#include "data/sets/text_lines.h"

#include <algorithm>
#include <charconv>

#include "engine/core/error.h"
#include "engine/files/file_reader.h"

namespace invp {
namespace {

constexpr std::string_view kBlank = " \t\r";

}  // namespace

void TextLine::fail(const std::string& reason) const {
  invp::fail(file->path, ": line ", number, " ", reason);
}

std::vector<std::string_view> TextLine::words() const {
  std::vector<std::string_view> found;
  for (std::string_view rest = text; !rest.empty();) {
    const auto end = std::min(rest.find_first_of(kBlank), rest.size());
    found.push_back(rest.substr(0, end));
    const auto next = rest.find_first_not_of(kBlank, end);
    rest.remove_prefix(std::min(next, rest.size()));
  }
  return found;
}

std::int64_t TextLine::integer(std::string_view word, const char* what, std::int64_t low,
                               std::int64_t high) const {
  std::int64_t value = 0;
  const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || stop != word.data() + word.size() || value < low || value > high)
    fail(message("has ", what, " \"", word, "\", expected ", low, " to ", high));
  return value;
}

std::vector<TextLine> read_lines(const std::filesystem::path& file) {
  const auto read =
      std::make_shared<const TextLine::File>(TextLine::File{file.string(), read_text_file(file)});
  CHECK(read->content.find('\0') == std::string::npos, read->path,
        ": is no text in UTF-8 (it holds zero bytes, as UTF-16 does); save it as UTF-8");
  std::vector<TextLine> lines;
  std::int64_t number = 0;
  std::string_view rest = read->content;
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  if (rest.starts_with(kMark)) rest.remove_prefix(kMark.size());
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const std::string_view text = trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    ++number;
    if (!text.empty()) lines.push_back({read, number, text});
  }
  return lines;
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) + 1 - first);
}

}  // namespace invp
