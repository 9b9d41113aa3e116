#include "engine/files/tar_reader.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace invp {
namespace {

constexpr std::uint64_t kBlock = 512;
constexpr std::size_t kMaxMembers = 100'000;
using Header = std::array<unsigned char, kBlock>;

std::string_view field(const Header& header, std::size_t begin, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(header.data()) + begin, size);
  return text.substr(0, text.find('\0'));
}

/// Octal digits between spaces, or GNU's binary form for sizes that octal has no room for.
std::optional<std::uint64_t> number_in(const Header& header, std::size_t begin, std::size_t size) {
  std::uint64_t value = 0;
  if ((header[begin] & 0x80) != 0) {
    for (std::size_t i = size - 8; i < size; ++i) value = value << 8 | header[begin + i];
    return value;
  }
  for (const char c : field(header, begin, size)) {
    if (c == ' ') continue;
    if (c < '0' || c > '7') return std::nullopt;
    value = value * 8 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

/// The sum of the header's bytes, those of the sum itself taken as spaces.
bool has_right_sum(const Header& header) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < header.size(); ++i) sum += i >= 148 && i < 156 ? ' ' : header[i];
  return number_in(header, 148, 8) == sum;
}

}  // namespace

std::vector<TarMember> read_tar(const FileReader& file) {
  std::vector<TarMember> members;
  for (std::uint64_t position = 0; position + kBlock <= file.size();) {
    Header header{};
    file.read(position, std::as_writable_bytes(std::span(header)));
    if (std::ranges::all_of(header, [](unsigned char c) { return c == 0; })) return members;
    const std::optional<std::uint64_t> size = number_in(header, 124, 12);
    if (!has_right_sum(header) || !size) {
      file.fail_at(position, "a header of the tar archive is damaged; copy or download it again");
    }
    position += kBlock;
    if (*size > file.size() - position) {
      file.fail_at(position, "\"", field(header, 0, 100), "\" in the tar archive has ", *size,
                   " bytes, but the file ends first; copy or download it again");
    }
    const char kind = static_cast<char>(header[156]);
    if (kind == '0' || kind == '\0') {
      members.push_back({std::string(field(header, 0, 100)), position, *size});
    }
    if (members.size() > kMaxMembers) file.fail_at(position, "too many files in the tar archive");
    position += std::min((*size + kBlock - 1) / kBlock * kBlock, file.size() - position);
  }
  return members;
}

}  // namespace invp
