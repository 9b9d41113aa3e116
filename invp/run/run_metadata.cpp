#include "invp/run/run_metadata.h"

#include <array>
#include <bit>
#include <charconv>
#include <limits>

#include "engine/core/error.h"

namespace invp {

std::string checkpoint_kind(const Metadata& metadata) {
  const auto kind = metadata.find("kind");
  const bool ours = kind != metadata.end() && kind->second.starts_with("invp-") &&
                    kind->second.find("-checkpoint-") != std::string::npos;
  return ours ? kind->second : "";
}

int checkpoint_version(const Metadata& metadata) {
  const std::string kind = checkpoint_kind(metadata);
  return kind.empty() ? 0 : kind == "invp-checkpoint-2" ? 2 : 1;
}

std::string exact_text(double value) {
  std::array<char, 17> text{};
  std::to_chars(text.data(), text.data() + text.size(), std::bit_cast<std::uint64_t>(value), 16);
  return text.data();
}

MetadataReader::MetadataReader(const Metadata& metadata, std::string prefix, std::string origin)
    : metadata_(metadata), prefix_(std::move(prefix)), origin_(std::move(origin)) {}

std::int64_t MetadataReader::integer(const std::string& key, std::int64_t low,
                                     std::int64_t high) const {
  const auto value = parse<std::int64_t>(key, 10);
  CHECK(value >= low && value <= high, origin_, ": '", key, "' is ", value, ", not from ", low,
        " to ", high, "; the file is damaged");
  return value;
}

std::int64_t MetadataReader::count(const std::string& key) const {
  return integer(key, 0, std::numeric_limits<std::int64_t>::max());
}

double MetadataReader::real(const std::string& key) const {
  return std::bit_cast<double>(parse<std::uint64_t>(key, 16));
}

double MetadataReader::real_or_zero(const std::string& key) const {
  return has(key) ? real(key) : 0;
}

template <class T>
T MetadataReader::parse(const std::string& key, int base) const {
  const auto found = metadata_.find(prefix_ + key);
  CHECK(found != metadata_.end(), origin_, ": no '", key,
        "' in the checkpoint; was it written by another version?");
  const std::string& text = found->second;
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  CHECK(error == std::errc() && end == text.data() + text.size(), origin_, ": '", key, "' is '",
        text, "', not a number");
  return value;
}

TensorFile with_prefix(const TensorFile& file, std::string_view prefix) {
  TensorFile part;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.starts_with(prefix)) part.tensors.emplace_back(name.substr(prefix.size()), tensor);
  }
  return part;
}

}  // namespace invp
