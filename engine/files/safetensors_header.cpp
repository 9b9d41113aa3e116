#include "engine/files/safetensors_header.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "engine/files/checksum.h"
#include "engine/files/json_text.h"

namespace invp {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kTextBegin = 8;

/// The checksums' key in the metadata. Its value: 8 hexadecimal digits for the header (these digits
/// counted as zeros), then 8 for each tensor in the header's order, with blanks between.
constexpr const char* kChecksums = "invp.crc32c";
constexpr std::size_t kDigits = 8;

std::size_t checksums_length(std::size_t tensors) {
  return (tensors + 1) * (kDigits + 1) - 1;
}

/// Where the value begins in the header's text; npos if it is not there as it was written.
std::size_t checksums_begin(std::string_view text) {
  const std::string key = '"' + std::string(kChecksums) + "\":\"";
  std::size_t at = text.find(key, 1);
  // A quote within a name has a backslash before it.
  while (at != std::string_view::npos && text[at - 1] == '\\') at = text.find(key, at + 1);
  return at == std::string_view::npos ? at : at + key.size();
}

void put_digits(std::string& text, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < kDigits; ++i)
    text[at + i] = "0123456789abcdef"[value >> (4 * (kDigits - 1 - i)) & 15];
}

std::optional<std::uint32_t> digits_of(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(value) : std::nullopt;
}

/// Parses the header token by token. A document tree would not notice a name given twice, and would
/// store whatever a hostile file nests; this accepts only the form that the format defines.
class HeaderParser final : public Json::json_sax_t {
 public:
  HeaderParser(const FileReader& file, std::uint64_t text_size)
      : file_(file), data_begin_(kTextBegin + text_size) {}

  SafetensorsHeader take() { return std::move(header_); }

  bool start_object(std::size_t) override {
    if (enter_unknown()) return true;
    switch (place_) {
      case Place::kOutside: place_ = Place::kTop; return true;
      case Place::kTop:
        place_ = name_ == "__metadata__" ? Place::kMetadata : Place::kTensor;
        key_.clear();
        dtype_.reset();
        shape_.reset();
        offsets_.reset();
        return true;
      default: return refuse("an object");
    }
  }

  bool end_object() override {
    if (leave_unknown()) return true;
    switch (place_) {
      case Place::kTensor: finish_tensor(); [[fallthrough]];
      case Place::kMetadata: place_ = Place::kTop; return true;
      default: place_ = Place::kOutside; return true;
    }
  }

  bool key(std::string& text) override {
    if (unknown_depth_ > 0) return true;
    if (place_ == Place::kTop) {
      if (!names_.insert(text).second) broken("the name \"", text, "\" appears twice");
      name_ = std::move(text);
    } else {
      key_ = std::move(text);
    }
    return true;
  }

  bool string(std::string& text) override {
    if (place_ == Place::kMetadata) {
      header_.metadata[std::move(key_)] = std::move(text);  // of one key twice, the last counts
      return true;
    }
    if (is_unknown()) return true;
    if (place_ != Place::kTensor || key_ != "dtype" || dtype_) return refuse("a string");
    dtype_ = std::move(text);
    return true;
  }

  bool start_array(std::size_t) override {
    if (enter_unknown()) return true;
    if (place_ != Place::kTensor) return refuse("an array");
    auto& target = key_ == "shape" ? shape_ : offsets_;
    if (key_ == "dtype" || target) return refuse("an array");
    target.emplace();
    place_ = Place::kNumbers;
    return true;
  }

  bool end_array() override {
    if (leave_unknown()) return true;
    place_ = Place::kTensor;
    return true;
  }

  bool number_unsigned(Json::number_unsigned_t number) override {
    if (is_unknown()) return true;
    if (place_ != Place::kNumbers) return refuse("a number");
    if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      broken("tensor \"", name_, "\": ", key_, " holds ", number, ", which is out of range");
    }
    std::vector<std::int64_t>& numbers = key_ == "shape" ? *shape_ : *offsets_;
    numbers.push_back(static_cast<std::int64_t>(number));
    return true;
  }

  bool number_integer(Json::number_integer_t) override { return refuse("a negative number"); }
  bool number_float(Json::number_float_t, const std::string&) override {
    return refuse("a number that is no integer");
  }
  bool null() override {
    return (place_ == Place::kTop && name_ == "__metadata__") || refuse("null");
  }
  bool boolean(bool) override { return refuse("true or false"); }
  bool binary(Json::binary_t&) override { return refuse("binary data"); }

  bool parse_error(std::size_t position, const std::string&, const Json::exception&) override {
    file_.fail_at(kTextBegin + position, "the header is not valid JSON; the file is damaged");
  }

 private:
  enum class Place { kOutside, kTop, kMetadata, kTensor, kNumbers };

  template <class... Parts>
  [[noreturn]] void broken(const Parts&... parts) const {
    file_.fail_at(kTextBegin, "in the header: ", parts...);
  }

  /// Keys that the format does not name are passed over, whatever stands there.
  bool is_unknown() const {
    return unknown_depth_ > 0 || (place_ == Place::kTensor && key_ != "dtype" && key_ != "shape" &&
                                  key_ != "data_offsets");
  }
  bool enter_unknown() {
    if (!is_unknown()) return false;
    constexpr int kDeepest = 128;  // as the reference implementation
    if (++unknown_depth_ > kDeepest) broken("nested more than ", kDeepest, " deep");
    return true;
  }
  bool leave_unknown() {
    if (unknown_depth_ == 0) return false;
    --unknown_depth_;
    return true;
  }

  bool refuse(const char* what) const {
    if (is_unknown()) return true;
    if (place_ == Place::kMetadata) {
      broken("metadata \"", key_, "\" is ", what, "; only strings are allowed");
    }
    if (place_ == Place::kTensor || place_ == Place::kNumbers) {
      broken("tensor \"", name_, "\": ", what, " where ", key_, " was expected");
    }
    broken("\"", name_, "\" is ", what, "; an object was expected");
  }

  void finish_tensor() {
    if (!dtype_ || !shape_ || !offsets_) {
      broken("tensor \"", name_, "\" lacks ",
             !dtype_ ? "dtype" : (!shape_ ? "shape" : "data_offsets"));
    }
    const std::optional<StoredType> type = stored_type_from_safetensors(*dtype_);
    if (!type) {
      broken("tensor \"", name_, "\" is of type ", *dtype_, "; known are ", safetensors_names());
    }
    if (offsets_->size() != 2) broken("tensor \"", name_, "\": data_offsets are not two numbers");
    const auto begin = static_cast<std::uint64_t>((*offsets_)[0]);
    const auto end = static_cast<std::uint64_t>((*offsets_)[1]);
    const std::uint64_t available = file_.size() - data_begin_;
    if (begin > end || end > available) {
      broken("tensor \"", name_, "\": data_offsets ", begin, " to ", end, " do not lie in the ",
             available, " bytes of data; the file is cut short or damaged");
    }
    const std::optional<std::uint64_t> bytes = checked_bytes(*shape_, *type);
    if (!bytes || *bytes != end - begin) {
      broken("tensor \"", name_, "\": ", end - begin,
             " bytes of data do not fit its shape and type ", *dtype_);
    }
    header_.entries.push_back(
        {{name_, *type, std::move(*shape_), *bytes}, data_begin_ + begin, data_begin_ + end});
  }

  const FileReader& file_;
  std::uint64_t data_begin_;
  Place place_ = Place::kOutside;
  SafetensorsHeader header_;
  std::set<std::string> names_;
  std::string name_;  ///< of the tensor
  std::string key_;   ///< inside the tensor or the metadata
  int unknown_depth_ = 0;
  std::optional<std::string> dtype_;
  std::optional<std::vector<std::int64_t>> shape_;
  std::optional<std::vector<std::int64_t>> offsets_;
};

}  // namespace

SafetensorsHeader parse_safetensors_header(const FileReader& file, std::string_view text) {
  HeaderParser parser(file, text.size());
  Json::sax_parse(text, &parser);
  return parser.take();
}

void reserve_checksums(SafetensorsHeader& header) {
  header.metadata[kChecksums] = std::string(checksums_length(header.entries.size()), ' ');
}

void set_checksums(std::string& text, std::span<const std::uint32_t> tensors) {
  const std::size_t begin = checksums_begin(text);
  put_digits(text, begin, 0);
  for (std::size_t i = 0; i < tensors.size(); ++i)
    put_digits(text, begin + (i + 1) * (kDigits + 1), tensors[i]);
  put_digits(text, begin, crc32c(text));
}

void take_checksums(const FileReader& file, std::string_view text, SafetensorsHeader& header) {
  const auto found = header.metadata.find(kChecksums);
  if (found == header.metadata.end()) return;
  const auto refuse = [&] {
    file.fail_at(kTextBegin,
                 "the header does not have its checksum: the file is damaged, or was "
                 "changed by a program that keeps the note \"",
                 kChecksums, "\"");
  };
  const std::string value = found->second;
  const std::size_t begin = checksums_begin(text);
  const std::optional<std::uint32_t> own = digits_of(value.substr(0, kDigits));
  if (value.size() != checksums_length(header.entries.size()) || !own ||
      text.substr(std::min(begin, text.size()), value.size()) != value) {
    refuse();
  }
  constexpr std::array<char, kDigits> kZeros = {'0', '0', '0', '0', '0', '0', '0', '0'};
  std::uint32_t crc = crc32c(text.substr(0, begin));
  crc = crc32c(std::string_view(kZeros.data(), kDigits), crc);
  if (crc32c(text.substr(begin + kDigits), crc) != *own) refuse();
  for (std::size_t i = 0; i < header.entries.size(); ++i) {
    const auto digits = digits_of(std::string_view(value).substr((i + 1) * (kDigits + 1), kDigits));
    if (!digits) refuse();
    header.entries[i].crc = digits;
  }
  header.metadata.erase(found);
  header.has_checksums = true;
}

std::string print_safetensors_header(const SafetensorsHeader& header) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (!header.metadata.empty()) json["__metadata__"] = header.metadata;
  std::string text;
  try {
    // Built piece by piece: an ordered object would search all keys for each new one.
    text = json_text(json);  // notes may quote names of files
    text.pop_back();
    for (const TensorEntry& entry : header.entries) {
      if (text.size() > 1) text += ',';
      const nlohmann::ordered_json body = {{"dtype", safetensors_name(entry.type)},
                                           {"shape", entry.extents},
                                           {"data_offsets", {entry.begin, entry.end}}};
      text += Json(entry.name).dump() + ':' + body.dump();
    }
  } catch (const Json::exception&) {
    fail("[safetensors] names of tensors must be valid UTF-8");
  }
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace invp
