#include "data/sets/mat_array.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "engine/core/error.h"

namespace invp {
namespace {

using Bytes = std::span<std::byte>;

/// Types of elements.
enum Type : std::uint32_t {
  kInt8 = 1,
  kUint8 = 2,
  kInt16 = 3,
  kUint16 = 4,
  kInt32 = 5,
  kUint32 = 6,
  kSingle = 7,
  kDouble = 9,
  kInt64 = 12,
  kUint64 = 13,
  kUtf8 = 16,
  kUtf16 = 17,
  kUtf32 = 18,
};

template <class T>
T read_as(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

std::uint32_t read_u32(std::span<const std::byte> bytes, std::size_t at, bool swapped) {
  std::array<std::byte, 4> four{};
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), 4, four.begin());
  if (swapped) std::ranges::reverse(four);
  return read_as<std::uint32_t>(four.data());
}

struct Element {
  std::uint32_t type = 0;
  Bytes data;
};

/// Takes the elements of a matrix one after another.
class Elements {
 public:
  Elements(Bytes bytes, bool swapped) : rest_(bytes), swapped_(swapped) {}

  bool swapped() const { return swapped_; }
  std::size_t bytes_left() const { return rest_.size(); }

  /// Nothing if the bytes end before the element does.
  std::optional<Element> take() {
    if (rest_.size() < kMatTagBytes) return std::nullopt;
    const std::uint32_t first = read_u32(rest_, 0, swapped_);
    if (first >> 16 != 0) {  // a small element: type and length in one word, then four bytes
      const std::uint32_t length = first >> 16;
      if (length > 4) return std::nullopt;
      const Element small{first & 0xffff, rest_.subspan(4, length)};
      rest_ = rest_.subspan(kMatTagBytes);
      return small;
    }
    const MatTag tag = read_mat_tag(rest_, swapped_);
    if (tag.bytes > rest_.size() - kMatTagBytes) return std::nullopt;
    const auto length = static_cast<std::size_t>(tag.bytes);
    const Element element{tag.type, rest_.subspan(kMatTagBytes, length)};
    // Padded to whole words of eight bytes; the last padding may be missing.
    const std::size_t padded = kMatTagBytes + (length + 7) / 8 * 8;
    rest_ = rest_.subspan(std::min(padded, rest_.size()));
    return element;
  }

 private:
  Bytes rest_;
  bool swapped_;
};

void swap_numbers(const Element& element) {
  const std::size_t size = mat_storage_bytes(element.type);
  for (std::size_t at = 0; at + size <= element.data.size(); at += size)
    std::ranges::reverse(element.data.subspan(at, size));
}

/// Reads one matrix and those in it.
class MatrixReader {
 public:
  MatrixReader(bool swapped, const std::string& where) : swapped_(swapped), where_(where) {}

  MatArray read(Bytes bytes, int depth) {
    constexpr int kMaxDepth = 16;
    MatArray array;
    if (bytes.empty()) return array;  // an empty array in a cell or a structure
    if (depth > kMaxDepth) refuse("arrays are nested too deep");
    Elements elements(bytes, swapped_);
    const Element flags = next(elements, "flags");
    if (flags.type != kUint32 || flags.data.size() < 8) refuse("an array has no flags");
    const std::uint32_t word = read_u32(flags.data, 0, swapped_);
    array.array_class = static_cast<std::uint8_t>(word & 0xff);
    array.complex = (word & 0x800) != 0;
    read_dims(next(elements, "dimensions"), array);
    const Element name = next(elements, "name");
    array.name.assign(reinterpret_cast<const char*>(name.data.data()), name.data.size());
    if (array.is(MatClass::kCell)) {
      read_inner(elements, array, 1, depth);
    } else if (array.is(MatClass::kStruct)) {
      read_fields(elements, array);
      read_inner(elements, array, std::ssize(array.fields), depth);
    } else if (array.is_number() || array.is(MatClass::kText)) {
      read_data(next(elements, "values"), array);
    }  // others are known by name alone
    return array;
  }

 private:
  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    std::string where = where_;
    for (const auto& [array, i] : way_) {
      const std::int64_t fields = std::ssize(array->fields);
      where += fields == 0 ? message('{', i + 1, '}')
                           : message('(', i / fields + 1, ").",
                                     array->fields[static_cast<std::size_t>(i % fields)]);
    }
    fail(where, ": ", parts..., "; the file is damaged: download it again");
  }

  Element next(Elements& elements, const char* what) const {
    const auto element = elements.take();
    if (!element) refuse("it ends within the ", what, " of an array");
    return *element;
  }

  void read_dims(const Element& element, MatArray& array) const {
    if (element.type != kInt32 || element.data.size() < 8 || element.data.size() % 4 != 0)
      refuse("an array has no dimensions");
    constexpr std::int64_t kMost = std::int64_t{1} << 40;
    array.count = 1;
    for (std::size_t at = 0; at < element.data.size(); at += 4) {
      const auto dim = static_cast<std::int32_t>(read_u32(element.data, at, swapped_));
      if (dim < 0 || (dim > 0 && array.count > kMost / dim))
        refuse("an array has a dimension of ", dim);
      array.dims.push_back(dim);
      array.count *= dim;
    }
  }

  void read_data(const Element& element, MatArray& array) const {
    const std::size_t size = mat_storage_bytes(element.type);
    if (size == 0) refuse("values of the unknown type ", element.type);
    const auto present = static_cast<std::int64_t>(element.data.size() / size);
    // UTF-8 has up to four bytes per character; mat_text counts them. Numbers have one value each.
    const bool wide = element.type == kUtf8 && array.is(MatClass::kText);
    const bool fits = wide ? present >= array.count : present == array.count;
    if (!fits || element.data.size() % size != 0)
      refuse(array.count, " values are announced, ", present, " are there");
    array.storage = element.type;
    array.data = element.data;
    if (swapped_) swap_numbers(element);
  }

  void read_fields(Elements& elements, MatArray& array) const {
    const Element length_of = next(elements, "field names");
    const Element names = next(elements, "field names");
    if (length_of.type != kInt32 || length_of.data.size() != 4)
      refuse("a structure has no length of its field names");
    const std::uint32_t length = read_u32(length_of.data, 0, swapped_);
    if (length == 0 || names.data.size() % length != 0)
      refuse("a structure has field names of ", length, " bytes each in ", names.data.size());
    constexpr std::size_t kMostFields = 4096;
    if (names.data.size() / length > kMostFields)
      refuse("a structure has ", names.data.size() / length, " fields");
    for (std::size_t at = 0; at < names.data.size(); at += length) {
      const auto* const text = reinterpret_cast<const char*>(names.data.data()) + at;
      array.fields.emplace_back(text, std::find(text, text + length, '\0'));
    }
  }

  /// `each`: the arrays of one element.
  void read_inner(Elements& elements, MatArray& array, std::int64_t each, int depth) {
    const auto room = static_cast<std::int64_t>(elements.bytes_left() / kMatTagBytes);
    // Divided, not multiplied: what a file says of itself may overflow.
    if (each > 0 && array.count > room / each) {
      refuse(array.count, " elements are announced, at most ", room / each, " are there");
    }
    const std::int64_t count = array.count * each;
    // An empty array takes eight bytes of the file and many more of memory.
    constexpr std::int64_t kMostArrays = 1'000'000;
    arrays_ += count;
    if (arrays_ > kMostArrays) refuse("more than ", kMostArrays, " arrays are in it");
    array.inner.reserve(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) {
      way_.push_back({&array, i});
      const Element element = next(elements, "elements");
      if (element.type != kMatMatrix)
        refuse("an element of type ", element.type, " where an array was expected");
      array.inner.push_back(read(element.data, depth + 1));
      way_.pop_back();
    }
  }

  struct Step {
    const MatArray* array;
    std::int64_t inner;
  };

  bool swapped_;
  const std::string& where_;
  std::int64_t arrays_ = 0;  ///< within others, of all that were read
  std::vector<Step> way_;    ///< from the variable to the array that is read, for errors
};

void append_utf8(std::string& text, std::uint32_t c) {
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += static_cast<char>(0xc0 | c >> 6);
    text += static_cast<char>(0x80 | (c & 0x3f));
  } else {
    text += static_cast<char>(0xe0 | c >> 12);
    text += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    text += static_cast<char>(0x80 | (c & 0x3f));
  }
}

}  // namespace

MatTag read_mat_tag(std::span<const std::byte> bytes, bool swapped) {
  return {read_u32(bytes, 0, swapped), read_u32(bytes, 4, swapped)};
}

std::string mat_variable_name(Bytes begin, bool swapped) {
  Elements elements(begin, swapped);
  std::optional<Element> element;
  for (int i = 0; i < 3; ++i) {  // flags, dimensions, name
    element = elements.take();
    if (!element) return "";
  }
  return {reinterpret_cast<const char*>(element->data.data()), element->data.size()};
}

MatArray read_mat_array(Bytes matrix, bool swapped, const std::string& where) {
  return MatrixReader(swapped, where).read(matrix, 0);
}

std::size_t mat_storage_bytes(std::uint32_t storage) {
  switch (storage) {
    case kInt8:
    case kUint8:
    case kUtf8: return 1;
    case kInt16:
    case kUint16:
    case kUtf16: return 2;
    case kInt32:
    case kUint32:
    case kSingle:
    case kUtf32: return 4;
    case kDouble:
    case kInt64:
    case kUint64: return 8;
    default: return 0;
  }
}

double mat_number(const MatArray& array, std::int64_t i) {
  const std::byte* const at =
      &array.data[static_cast<std::size_t>(i) * mat_storage_bytes(array.storage)];
  switch (array.storage) {
    case kInt8: return read_as<std::int8_t>(at);
    case kInt16: return read_as<std::int16_t>(at);
    case kUint16:
    case kUtf16: return read_as<std::uint16_t>(at);
    case kInt32: return read_as<std::int32_t>(at);
    case kUint32:
    case kUtf32: return read_as<std::uint32_t>(at);
    case kSingle: return read_as<float>(at);
    case kDouble: return read_as<double>(at);
    case kInt64: return static_cast<double>(read_as<std::int64_t>(at));
    case kUint64: return static_cast<double>(read_as<std::uint64_t>(at));
    default: return read_as<std::uint8_t>(at);
  }
}

std::string mat_text(const MatArray& array, const std::string& where) {
  std::string text;
  if (array.storage == kUtf8) {
    text.assign(reinterpret_cast<const char*>(array.data.data()), array.data.size());
    const auto characters = std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
    CHECK(characters == array.count, where, ": ", array.count, " characters are announced, ",
          characters, " are there; the file is damaged");
  } else {
    for (std::int64_t i = 0; i < array.count; ++i) {
      const double c = mat_number(array, i);
      // Halves of pairs, which stand for rare characters, are refused too.
      CHECK(c > 0 && c < 0x10000 && !(c >= 0xd800 && c < 0xe000), where,
            ": holds a character of the number ", c);
      append_utf8(text, static_cast<std::uint32_t>(c));
    }
  }
  CHECK(text.find('\0') == std::string::npos, where, ": holds a character of the number 0");
  return text;
}

}  // namespace invp
