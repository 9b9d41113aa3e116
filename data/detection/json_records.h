// Lists of records in JSON files of any size: only the record at hand is in memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace invp {

/// The value of one key of a record.
struct JsonValue {
  enum class Kind : std::uint8_t {
    kMissing,
    kInteger,
    kNumber,
    kText,
    kNumbers,  ///< a list; an item that is no number is NaN
    kOther,    ///< null, an object
  };
  Kind kind = Kind::kMissing;
  std::int64_t integer = 0;
  double number = 0;  ///< of an integer too; of NaN and Infinity, which Python writes, NaN
  std::string text;
  std::vector<double> numbers;  ///< at most the first kMostNumbers

  static constexpr std::size_t kMostNumbers = 16;
  bool is_number() const { return kind == Kind::kInteger || kind == Kind::kNumber; }
};

/// A list of objects: a member of the file's object, or with an empty name the file itself.
struct JsonList {
  std::string name;
  std::vector<std::string> keys;
  /// Is given the values of `keys` in that order, and the number of the record, from 0.
  std::function<void(std::span<const JsonValue> record, std::int64_t index)> take;
  std::int64_t records = 0;  ///< so far
  bool found = false;
};

/// Reads the file once. Other members and keys are passed over. Throws Error naming the file and
/// the byte for what is no JSON, and for texts longer than 1 MiB of a wanted key; what `take`
/// throws goes through.
void read_json_lists(const std::filesystem::path& file, std::span<JsonList> lists);

}  // namespace invp
