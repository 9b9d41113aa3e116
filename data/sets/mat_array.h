// The elements of MATLAB files of level 5: what a variable's bytes say.
// MathWorks, "MAT-File Format", level 5; the data sets have files of MATLAB 5 to 7.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace invp {

/// Of an array.
enum class MatClass : std::uint8_t { kCell = 1, kStruct = 2, kText = 4, kDouble = 6, kUint8 = 9 };

/// A variable, or an element of a cell or of a structure. Empty ones have no class.
struct MatArray {
  std::uint8_t array_class = 0;  ///< a MatClass, or the number of another
  bool complex = false;
  std::string name;                ///< of a variable
  std::vector<std::int64_t> dims;  ///< their product is count
  std::int64_t count = 0;
  /// Of numbers and text: how its elements are stored, and their bytes, in this machine's order.
  /// They lie in the bytes that were read.
  std::uint32_t storage = 0;
  std::span<const std::byte> data;
  std::vector<std::string> fields;  ///< of a structure
  /// Of cells, one per element; of structures, the fields of the first element, of the second, ...
  std::vector<MatArray> inner;

  bool is(MatClass wanted) const { return array_class == static_cast<std::uint8_t>(wanted); }
  bool is_number() const { return array_class >= 6 && array_class <= 15; }
};

/// Tag of an element: its type and the number of bytes after the tag.
struct MatTag {
  std::uint32_t type = 0;
  std::uint64_t bytes = 0;
};
inline constexpr std::uint64_t kMatTagBytes = 8;
inline constexpr std::uint32_t kMatMatrix = 14;
inline constexpr std::uint32_t kMatCompressed = 15;

/// `swapped`: the file has the other byte order. `bytes` are kMatTagBytes of a variable, not of one
/// of the small elements that hold their data in their tag.
MatTag read_mat_tag(std::span<const std::byte> bytes, bool swapped);

/// The name of the variable whose matrix begins with these bytes; they may end early. Empty if the
/// name is not among them. Throws nothing.
std::string mat_variable_name(std::span<std::byte> begin, bool swapped);

/// `matrix` is all that follows the tag of a matrix, and must outlive the array; its numbers are
/// put into this machine's order. `where` begins the errors: Error for lengths that do not fit each
/// other, for fewer or more elements than announced, and for arrays nested too deep. Allocates no
/// more than a few times the bytes that are there.
MatArray read_mat_array(std::span<std::byte> matrix, bool swapped, const std::string& where);

/// Bytes of one element of a storage type; 0 if it is no type of numbers or text.
std::size_t mat_storage_bytes(std::uint32_t storage);

/// Element i of an array of numbers.
double mat_number(const MatArray& array, std::int64_t i);

/// The text of an array of characters as UTF-8. Throws Error for characters that no text has.
std::string mat_text(const MatArray& array, const std::string& where);

}  // namespace invp
