// MATLAB files of level 5: numbers of any class, strings, cells, and arrays of structures.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/sets/mat_array.h"
#include "engine/files/file_reader.h"

namespace invp {

/// A variable, or a cell or a field of one. Keeps the whole variable alive. Errors name the file
/// and the element: "FILE: annotations(3).class".
class MatValue {
 public:
  MatValue(std::shared_ptr<const MatArray> array, std::string where);

  /// Number of elements.
  std::int64_t count() const { return array_->count; }
  const std::vector<std::int64_t>& dims() const { return array_->dims; }
  /// Element i of a numeric array. Throws Error unless it is a whole number in [low, high].
  std::int64_t integer(std::int64_t i, std::int64_t low, std::int64_t high) const;
  /// Every element of an array of class uint8, column-major. Throws Error for another class.
  std::span<const std::uint8_t> bytes() const;
  /// A row of characters, as UTF-8.
  std::string text() const;
  /// Element i of an array of cells.
  MatValue cell(std::int64_t i) const;
  bool is_structure() const { return array_->is(MatClass::kStruct); }
  /// A field of element i of an array of structures.
  MatValue field(std::int64_t i, const char* name) const;

 private:
  MatValue inner(std::size_t i, std::string where) const;

  std::shared_ptr<const MatArray> array_;
  std::string where_;
};

class MatFile {
 public:
  /// Throws Error for a file that is missing or no MATLAB file, and for one of version 7.3.
  explicit MatFile(const std::filesystem::path& path);

  /// Reads the whole variable and compares the checksum of one that is compressed. Throws Error if
  /// there is none of that name, if it is empty, was cut short or is damaged.
  MatValue variable(const char* name) const;

 private:
  FileReader file_;
  bool swapped_ = false;  ///< has the other byte order
};

}  // namespace invp
