// The text files of data sets, as lines that know their number for errors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace invp {

/// A line that is not blank, without blanks at either end. Lines end in "\n" or "\r\n". The mark
/// that some editors put before UTF-8 is no part of the first.
struct TextLine {
  struct File {
    std::string path, content;
  };
  std::shared_ptr<const File> file;
  std::int64_t number = 0;  ///< from 1
  std::string_view text;    ///< into the file's content

  /// Throws Error "FILE: line N REASON".
  [[noreturn]] void fail(const std::string& reason) const;
  /// Its words, separated by blanks.
  std::vector<std::string_view> words() const;
  /// A whole word as a number in [low, high]; fails naming `what` otherwise.
  std::int64_t integer(std::string_view word, const char* what, std::int64_t low,
                       std::int64_t high) const;
};

/// The lines of a file that are not blank. Throws Error if the file cannot be read, and if it holds
/// zero bytes, as UTF-16 does.
std::vector<TextLine> read_lines(const std::filesystem::path& file);

/// Without blanks at either end.
std::string_view trimmed(std::string_view text);

}  // namespace invp
