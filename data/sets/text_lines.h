// The text files of data sets: lines of words, with the line's number at hand for errors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace invp {

/// A line that is not blank, without what surrounds it; "\r\n" is taken for a line's end too.
struct TextLine {
  std::shared_ptr<const std::string> content;  ///< of the whole file, into which `text` points
  std::string file;
  std::int64_t number = 0;  ///< from 1
  std::string_view text;

  /// Throws Error "FILE: line N REASON".
  [[noreturn]] void fail(const std::string& reason) const;
  /// Its words, which blanks separate.
  std::vector<std::string_view> words() const;
  /// A whole word as a number in [low, high]; fails naming `what` otherwise.
  std::int64_t integer(std::string_view word, const char* what, std::int64_t low,
                       std::int64_t high) const;
};

/// Throws Error if the file cannot be read.
std::vector<TextLine> read_lines(const std::filesystem::path& file);

/// Without blanks at either end.
std::string_view trimmed(std::string_view text);

}  // namespace invp
