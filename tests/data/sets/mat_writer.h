// MATLAB files of level 5 for tests: what the data sets' releases hold, in either byte order,
// compressed or not, and wrong where a test wants it.
#pragma once

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace invp::testing {

/// Builds the elements of a file. `big` gives them the order of bytes of old workstations.
class MatWriter {
 public:
  enum Type : std::uint32_t { kInt8 = 1, kUint8 = 2, kUint16 = 4, kInt32 = 5, kUint32 = 6 };
  enum : std::uint32_t { kDouble = 9, kMatrix = 14, kCompressed = 15, kUtf8 = 16 };
  enum Class : std::uint32_t { kCells = 1, kStructs = 2, kTexts = 4, kDoubles = 6, kBytes = 9 };

  explicit MatWriter(bool big = false) : big_(big) {}

  /// The bytes of a number.
  template <class T>
  std::string word(T value) const {
    std::string bytes(sizeof value, '\0');
    std::memcpy(bytes.data(), &value, sizeof value);
    if (big_) std::ranges::reverse(bytes);
    return bytes;
  }
  template <class T>
  std::string words(const std::vector<T>& values) const {
    std::string bytes;
    for (const T value : values) bytes += word(value);
    return bytes;
  }

  /// Tag, data and padding; short data stand in their tag, as MATLAB has them.
  std::string element(std::uint32_t type, const std::string& data) const {
    const auto length = static_cast<std::uint32_t>(data.size());
    if (length >= 1 && length <= 4)
      return word(length << 16 | type) + data + std::string(4 - length, '\0');
    return word(type) + word(length) + data + std::string((8 - length % 8) % 8, '\0');
  }

  /// A matrix with its tag. `contents` are the elements after its name.
  std::string matrix(std::uint32_t array_class, const std::vector<std::int32_t>& dims,
                     const std::string& name, const std::string& contents,
                     std::uint32_t flags = 0) const {
    const std::string body = element(kUint32, word(array_class | flags) + word(std::uint32_t{0})) +
                             element(kInt32, words(dims)) + element(kInt8, name) + contents;
    return word(std::uint32_t{kMatrix}) + word(static_cast<std::uint32_t>(body.size())) + body;
  }

  /// A row of numbers of any class, stored as T.
  template <class T>
  std::string numbers(const std::string& name, std::uint32_t array_class, std::uint32_t stored,
                      const std::vector<T>& values) const {
    return matrix(array_class, {1, static_cast<std::int32_t>(values.size())}, name,
                  element(stored, words(values)));
  }
  std::string text(const std::string& name, const std::string& value) const {
    return matrix(kTexts, {1, static_cast<std::int32_t>(value.size())}, name,
                  element(kUtf8, value));
  }
  /// `fields` are matrices without names, those of the first element first.
  std::string structs(const std::string& name, std::int32_t count,
                      const std::vector<std::string>& field_names,
                      const std::vector<std::string>& fields) const {
    constexpr std::uint32_t kLength = 32;
    std::string names;
    for (std::string field : field_names) {
      field.resize(kLength);
      names += field;
    }
    std::string contents = element(kInt32, word(kLength)) + element(kInt8, names);
    for (const std::string& field : fields) contents += field;
    return matrix(kStructs, {1, count}, name, contents);
  }
  std::string cells(const std::string& name, const std::vector<std::string>& inner) const {
    std::string contents;
    for (const std::string& cell : inner) contents += cell;
    return matrix(kCells, {1, static_cast<std::int32_t>(inner.size())}, name, contents);
  }

  /// The matrix as a zlib stream in an element of its own.
  std::string compressed(const std::string& matrix_bytes) const {
    uLongf length = compressBound(static_cast<uLong>(matrix_bytes.size()));
    std::string deflated(length, '\0');
    compress(reinterpret_cast<Bytef*>(deflated.data()), &length,
             reinterpret_cast<const Bytef*>(matrix_bytes.data()),
             static_cast<uLong>(matrix_bytes.size()));
    deflated.resize(length);
    return word(std::uint32_t{kCompressed}) + word(static_cast<std::uint32_t>(length)) + deflated;
  }

  /// The 128 bytes of the header and the variables.
  std::string file(const std::vector<std::string>& variables,
                   std::uint16_t version = 0x0100) const {
    std::string bytes = "MATLAB 5.0 MAT-file";
    bytes.resize(124, ' ');
    bytes += word(version) + word(static_cast<std::uint16_t>('M' << 8 | 'I'));
    for (const std::string& variable : variables) bytes += variable;
    return bytes;
  }

 private:
  bool big_;
};

}  // namespace invp::testing
