// MATLAB files of level 5, read by libmatio: numbers of any class, strings, and arrays of
// structures.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace invp {

/// A variable, or a cell or a field of one. Keeps the whole variable alive.
class MatValue {
 public:
  class Impl;
  MatValue(std::shared_ptr<const void> owner, const void* variable, std::string where);

  /// Number of elements.
  std::int64_t count() const;
  std::vector<std::int64_t> dims() const;
  /// Element i of a numeric array. Throws Error unless it is a whole number in [low, high].
  std::int64_t integer(std::int64_t i, std::int64_t low, std::int64_t high) const;
  /// Every element of an array of class uint8, column-major. Throws Error for another class.
  std::span<const std::uint8_t> bytes() const;
  /// A row of characters.
  std::string text() const;
  /// Element i of an array of cells.
  MatValue cell(std::int64_t i) const;
  bool is_structure() const;
  bool has_field(const char* name) const;
  /// A field of element i of an array of structures.
  MatValue field(std::int64_t i, const char* name) const;

 private:
  std::shared_ptr<const void> owner_;
  const void* variable_;
  std::string where_;  ///< "FILE: annotations(3).class"
};

class MatFile {
 public:
  /// Throws Error for a file that is missing, damaged or not a MATLAB file.
  explicit MatFile(const std::filesystem::path& path);

  /// Throws Error if there is none of that name or it was cut short.
  MatValue variable(const char* name) const;

 private:
  std::shared_ptr<void> file_;
  std::string path_;
};

}  // namespace invp
