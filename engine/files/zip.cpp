#include "engine/files/zip.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_set>

namespace invp {
namespace {

constexpr std::uint32_t kLocalHeader = 0x04034b50;
constexpr std::uint32_t kDirectoryHeader = 0x02014b50;
constexpr std::uint32_t kEnd = 0x06054b50;
constexpr std::uint32_t kEnd64 = 0x06064b50;
constexpr std::uint32_t kEnd64Locator = 0x07064b50;
constexpr std::size_t kLocalHeaderSize = 30;
constexpr std::size_t kDirectoryHeaderSize = 46;
constexpr std::size_t kEndSize = 22;
constexpr std::size_t kEnd64Size = 56;
constexpr std::size_t kEnd64LocatorSize = 20;
constexpr std::uint32_t kIn64 = 0xFFFFFFFF;  // "the value stands in the zip64 field"
constexpr std::uint64_t kMaxDirectory = std::uint64_t{1} << 28;

std::uint16_t u16(const std::byte* at) {
  return little_endian<std::uint16_t>(at);
}
std::uint32_t u32(const std::byte* at) {
  return little_endian<std::uint32_t>(at);
}
std::uint64_t u64(const std::byte* at) {
  return little_endian<std::uint64_t>(at);
}

/// The end record stands last, behind it only a comment of at most 65,535 bytes.
std::uint64_t find_end(const FileReader& file) {
  const std::uint64_t window = std::min<std::uint64_t>(file.size(), kEndSize + 0xFFFF);
  const std::uint64_t begin = file.size() - window;
  const std::vector<std::byte> tail = file.read(begin, window);
  for (std::uint64_t at = window < kEndSize ? 0 : window - kEndSize + 1; at-- > 0;) {
    const std::byte* end = tail.data() + at;
    if (u32(end) == kEnd && at + kEndSize + u16(end + 20) == window) return begin + at;
  }
  file.fail_at(file.size(),
               "the zip archive has no end; the file was cut short: copy or download it again");
}

}  // namespace

ZipReader::ZipReader(const std::filesystem::path& path) : file_(path) {
  const std::uint64_t end_at = find_end(file_);
  const std::vector<std::byte> end = file_.read(end_at, kEndSize);
  std::uint64_t count = u16(&end[10]);
  std::uint64_t size = u32(&end[12]);
  std::uint64_t begin = u32(&end[16]);
  if (u16(&end[4]) != 0 && u16(&end[4]) != 0xFFFF) {
    file_.fail_at(end_at, "one part of a zip archive in several parts; join them first");
  }
  if (count == 0xFFFF || size == kIn64 || begin == kIn64) {
    if (end_at < kEnd64LocatorSize) file_.fail_at(end_at, "the zip64 locator is missing");
    const std::vector<std::byte> locator =
        file_.read(end_at - kEnd64LocatorSize, kEnd64LocatorSize);
    if (u32(locator.data()) == kEnd64Locator) {
      const std::uint64_t end64_at = u64(&locator[8]);
      const std::vector<std::byte> end64 = file_.read(end64_at, kEnd64Size);
      if (u32(end64.data()) != kEnd64) file_.fail_at(end64_at, "the zip64 end record is damaged");
      count = u64(&end64[32]);
      size = u64(&end64[40]);
      begin = u64(&end64[48]);
    }
  }
  read_directory(begin, size, count);
}

void ZipReader::read_directory(std::uint64_t begin, std::uint64_t size, std::uint64_t count) {
  if (size > kMaxDirectory) file_.fail_at(begin, "a zip directory of ", size, " bytes is refused");
  const std::vector<std::byte> bytes = file_.read(begin, size);
  std::unordered_set<std::string> names;
  std::uint64_t at = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::byte* record = bytes.data() + at;
    if (size - at < kDirectoryHeaderSize || u32(record) != kDirectoryHeader) {
      file_.fail_at(begin + at, "entry ", i, " of the zip directory is damaged");
    }
    const std::uint64_t name_size = u16(record + 28);
    const std::uint64_t extra_size = u16(record + 30);
    const std::uint64_t record_size =
        kDirectoryHeaderSize + name_size + extra_size + u16(record + 32);
    if (record_size > size - at)
      file_.fail_at(begin + at, "entry ", i, " leaves the zip directory");
    Entry entry;
    entry.name.assign(reinterpret_cast<const char*>(record + kDirectoryHeaderSize), name_size);
    entry.crc = u32(record + 16);
    const std::uint64_t packed = u32(record + 20);
    entry.size = u32(record + 24);
    entry.header = u32(record + 42);
    const std::uint64_t extra_at = at + kDirectoryHeaderSize + name_size;
    read_zip64_fields(std::span(bytes).subspan(extra_at, extra_size), begin + extra_at, packed,
                      entry);
    if (!names.insert(entry.name).second) {
      file_.fail_at(begin + at, "\"", entry.name, "\" stands in the zip archive twice");
    }
    entries_.push_back(std::move(entry));
    at += record_size;
  }
}

/// In the extra field 1, those of size, packed size and offset that did not fit stand in this
/// order.
void ZipReader::read_zip64_fields(std::span<const std::byte> extra, std::uint64_t at,
                                  std::uint64_t packed, Entry& entry) const {
  if (entry.size != kIn64 && packed != kIn64 && entry.header != kIn64) return;
  while (extra.size() >= 4) {
    const std::size_t length = u16(&extra[2]);
    if (length > extra.size() - 4) break;
    if (u16(extra.data()) == 1) {
      std::span<const std::byte> fields = extra.subspan(4, length);
      const auto take = [&](std::uint64_t& value) {
        if (value != kIn64 || fields.size() < 8) return;
        value = u64(fields.data());
        fields = fields.subspan(8);
      };
      take(entry.size);
      take(packed);
      take(entry.header);
      return;
    }
    extra = extra.subspan(4 + length);
  }
  file_.fail_at(at, "\"", entry.name, "\" lacks its zip64 sizes; the archive is damaged");
}

const ZipReader::Entry* ZipReader::find(std::string_view name) const {
  const auto found = std::ranges::find(entries_, name, &Entry::name);
  return found == entries_.end() ? nullptr : &*found;
}

void ZipReader::read(const Entry& entry, std::span<std::byte> bytes) const {
  std::array<std::byte, kLocalHeaderSize> header{};
  file_.read(entry.header, header);
  const auto broken = [&](const char* what) {
    file_.fail_at(entry.header, "\"", entry.name, "\" in the zip archive ", what);
  };
  if (u32(header.data()) != kLocalHeader)
    broken("has no header where the directory says; the file is damaged");
  if ((u16(&header[6]) & 1) != 0) broken("is encrypted");
  if (u16(&header[8]) != 0)
    broken(
        "is compressed; only stored entries, as torch.save writes, are read: unpack it and zip it "
        "with \"zip -0\"");
  CHECK(bytes.size() == entry.size, "[zip] ", bytes.size(), " bytes for an entry of ", entry.size);
  const std::uint64_t begin = entry.header + kLocalHeaderSize + u16(&header[26]) + u16(&header[28]);
  file_.read(begin, bytes);
  const uLong crc = crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  if (crc != entry.crc)
    broken(
        "has another CRC-32 than the directory says; the file is damaged: copy or download it "
        "again");
}

std::vector<std::byte> ZipReader::read(const Entry& entry) const {
  if (entry.size > file_.size()) {
    file_.fail_at(entry.header, "\"", entry.name, "\" claims ", entry.size,
                  " bytes, more than the file has");
  }
  std::vector<std::byte> bytes(static_cast<std::size_t>(entry.size));
  read(entry, bytes);
  return bytes;
}

}  // namespace invp
