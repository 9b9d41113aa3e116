#include "data/detection/json_records.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "engine/core/error.h"
#include "engine/files/file_reader.h"

namespace invp {
namespace {

using Kind = JsonValue::Kind;

/// What Python writes for numbers that JSON does not have, and texts of the same length for them.
struct NoNumber {
  std::string_view written, text;
};
constexpr std::array kNoNumbers = {NoNumber{"NaN", "\"N\""}, NoNumber{"Infinity", "\"Infini\""},
                                   NoNumber{"-Infinity", "\"-Infini\""}};

/// The file piece by piece, without the numbers that are none.
class Pieces {
 public:
  explicit Pieces(const std::filesystem::path& path) : file_(path), piece_(kBytes) { load(); }

  bool at_end() const { return next_ == end_; }
  char get() const { return piece_[next_]; }
  void advance() {
    if (++next_ == end_) load();
  }

 private:
  static constexpr std::size_t kBytes = 1U << 20;
  static constexpr std::size_t kTail = 16;  ///< no shorter than what is replaced

  /// Keeps the bytes that could begin a text to be replaced, and appends the next ones.
  void load() {
    const std::size_t kept = filled_ - end_;
    std::memmove(piece_.data(), piece_.data() + end_, kept);
    const auto more = static_cast<std::size_t>(
        std::min<std::uint64_t>(piece_.size() - kept, file_.size() - offset_));
    file_.read(offset_, std::as_writable_bytes(std::span(piece_).subspan(kept, more)));
    offset_ += more;
    filled_ = kept + more;
    next_ = 0;
    end_ = offset_ == file_.size() ? filled_ : filled_ - std::min(filled_, kTail);
    replace();
  }

  void replace() {
    for (std::size_t i = 0; i < end_; ++i) {
      const char c = piece_[i];
      if (escaped_) {
        escaped_ = false;
      } else if (in_text_ && c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_text_ = !in_text_;
      } else if (!in_text_ && (c == 'N' || c == 'I' || c == '-')) {
        i = std::max(i, replaced_at(i));
      }
    }
  }

  /// The last byte of the text that was put there; 0 if none was.
  std::size_t replaced_at(std::size_t begin) {
    const std::string_view rest(piece_.data() + begin, filled_ - begin);
    for (const auto& [written, text] : kNoNumbers) {
      if (!rest.starts_with(written)) continue;
      std::ranges::copy(text, piece_.begin() + static_cast<std::ptrdiff_t>(begin));
      end_ = std::max(end_, begin + text.size());
      return begin + text.size() - 1;
    }
    return 0;
  }

  FileReader file_;
  std::vector<char> piece_;
  std::uint64_t offset_ = 0;
  std::size_t next_ = 0, end_ = 0, filled_ = 0;
  bool in_text_ = false, escaped_ = false;
};

/// The bytes as nlohmann's parser takes them.
class ByteIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  explicit ByteIterator(Pieces* pieces = nullptr) : pieces_(pieces) {}
  char operator*() const { return pieces_->get(); }
  ByteIterator& operator++() {
    pieces_->advance();
    return *this;
  }
  ByteIterator operator++(int) { return ++*this; }
  friend bool operator==(const ByteIterator& a, const ByteIterator& b) {
    return a.ended() == b.ended();
  }
  friend bool operator!=(const ByteIterator& a, const ByteIterator& b) { return !(a == b); }

 private:
  bool ended() const { return pieces_ == nullptr || pieces_->at_end(); }
  Pieces* pieces_;
};

/// Follows the parser and fills the records.
class Reader {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  Reader(std::string path, std::span<JsonList> lists) : path_(std::move(path)), lists_(lists) {}

  bool null() { return other(); }
  bool boolean(bool value) { return number_integer(value ? 1 : 0); }
  bool number_integer(number_integer_t value) {
    number(static_cast<double>(value), Kind::kInteger, value);
    return true;
  }
  bool number_unsigned(number_unsigned_t value) {
    // Ids have 63 bits at most; a larger number is none.
    const bool fits =
        value <= static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max());
    number(static_cast<double>(value), fits ? Kind::kInteger : Kind::kNumber,
           fits ? static_cast<std::int64_t>(value) : 0);
    return true;
  }
  bool number_float(number_float_t value, const string_t& /*text*/) {
    number(value, Kind::kNumber, 0);
    return true;
  }
  bool string(string_t& text) {
    const bool none = std::ranges::any_of(kNoNumbers, [&](const NoNumber& no_number) {
      return no_number.text.substr(1, no_number.text.size() - 2) == text;
    });
    if (none && collecting()) {
      number(std::numeric_limits<double>::quiet_NaN(), Kind::kNumber, 0);
    } else if (JsonValue* value = wanted()) {
      constexpr std::size_t kMostText = 1U << 20;
      CHECK(text.size() <= kMostText, where(), ": a text of ", text.size(), " bytes");
      value->kind = Kind::kText;
      value->text = std::move(text);
    } else if (collecting()) {
      number(std::numeric_limits<double>::quiet_NaN(), Kind::kNumber, 0);
    }
    return true;
  }
  bool binary(binary_t& /*bytes*/) { return other(); }

  bool start_object(std::size_t /*size*/) {
    other();
    if (list_ != nullptr && depth_ == record_depth_ - 1) begin_record();
    ++depth_;
    return true;
  }
  bool key(string_t& name) {
    if (depth_ == 1 && record_ == nullptr) member_ = name;
    if (record_ != nullptr && depth_ == record_depth_) {
      const auto found = std::ranges::find(list_->keys, name);
      value_ = found == list_->keys.end()
                   ? nullptr
                   : &values_[static_cast<std::size_t>(found - list_->keys.begin())];
      if (value_ != nullptr) value_->kind = Kind::kMissing;
    }
    return true;
  }
  bool end_object() {
    --depth_;
    if (record_ != nullptr && depth_ == record_depth_ - 1) {
      const JsonList* const done = std::exchange(record_, nullptr);
      done->take(values_, list_->records++);
    }
    return true;
  }
  bool start_array(std::size_t /*size*/) {
    if (JsonValue* value = wanted()) {
      value->kind = Kind::kNumbers;
      value->numbers.clear();
    } else {
      other();
      if (list_ == nullptr) begin_list();
    }
    ++depth_;
    return true;
  }
  bool end_array() {
    --depth_;
    if (list_ != nullptr && depth_ == record_depth_ - 2) list_ = nullptr;
    return true;
  }
  bool parse_error(std::size_t position, const std::string& last,
                   const nlohmann::json::exception& error) {
    // "[json.exception...] parse error at line 1, column 5: syntax error while ...": the end is for
    // people.
    std::string reason = error.what();
    const std::size_t colon = reason.find(": ");
    if (colon != std::string::npos) reason.erase(0, colon + 2);
    fail(where(), ": at byte ", position, ": is no JSON: ", reason.substr(0, 160),
         last.empty() ? " (is the file whole?)" : "");
  }

 private:
  std::string where() const {
    if (list_ == nullptr) return path_;
    return message(path_, ": ", list_->name.empty() ? "entry" : list_->name, '[', list_->records,
                   ']');
  }
  void begin_list() {
    for (JsonList& list : lists_) {
      const bool root = list.name.empty() && depth_ == 0;
      const bool member = !list.name.empty() && depth_ == 1 && member_ == list.name;
      if (!root && !member) continue;
      list_ = &list;
      list.found = true;
      record_depth_ = depth_ + 2;
    }
  }
  void begin_record() {
    record_ = list_;
    values_.resize(record_->keys.size());
    for (JsonValue& value : values_) value.kind = Kind::kMissing;
    value_ = nullptr;
  }
  /// The value that is read as a whole just now; null where its key is of no interest.
  JsonValue* wanted() { return record_ != nullptr && depth_ == record_depth_ ? value_ : nullptr; }
  /// Within a list of numbers that is wanted?
  bool collecting() const {
    return record_ != nullptr && value_ != nullptr &&
           (depth_ == record_depth_ ||
            (depth_ == record_depth_ + 1 && value_->kind == Kind::kNumbers));
  }
  void number(double value, Kind kind, std::int64_t integer) {
    if (!collecting()) return;
    if (depth_ == record_depth_) {
      value_->kind = kind;
      value_->number = value;
      value_->integer = integer;
    } else if (value_->numbers.size() < JsonValue::kMostNumbers) {
      value_->numbers.push_back(value);
    }
  }
  /// Null, or the beginning of what is no number.
  bool other() {
    if (JsonValue* value = wanted())
      value->kind = Kind::kOther;
    else if (collecting())
      number(std::numeric_limits<double>::quiet_NaN(), Kind::kNumber, 0);
    return true;
  }

  std::string path_;
  std::span<JsonList> lists_;
  std::string member_;
  JsonList* list_ = nullptr;
  JsonList* record_ = nullptr;  ///< list_ within one of its records
  std::int64_t depth_ = 0, record_depth_ = 0;
  std::vector<JsonValue> values_;
  JsonValue* value_ = nullptr;
};

}  // namespace

void read_json_lists(const std::filesystem::path& file, std::span<JsonList> lists) {
  Pieces pieces(file);
  Reader reader(file.string(), lists);
  nlohmann::json::sax_parse(ByteIterator(&pieces), ByteIterator(), &reader);
}

}  // namespace invp
