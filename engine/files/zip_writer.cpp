#include "engine/files/zip_writer.h"

#include <algorithm>

#include "engine/files/checksum.h"

namespace invp {

namespace {

constexpr std::uint32_t kFull32 = 0xFFFFFFFF;  // "see the zip64 field"
constexpr std::uint16_t kFull16 = 0xFFFF;
constexpr std::uint16_t kUtf8Names = 0x0800;
constexpr std::uint16_t kZip64Field = 0x0001;
constexpr std::uint16_t kPaddingField = 0x4246;  // "FB", which torch.save uses too; readers skip it

class Bytes {
 public:
  Bytes& u16(std::uint64_t value) { return little_endian(value, 2); }
  Bytes& u32(std::uint64_t value) { return little_endian(value, 4); }
  Bytes& u64(std::uint64_t value) { return little_endian(value, 8); }
  Bytes& text(std::string_view value) {
    bytes_ += value;
    return *this;
  }
  const std::string& str() const { return bytes_; }

 private:
  Bytes& little_endian(std::uint64_t value, int count) {
    for (int i = 0; i < count; ++i) bytes_.push_back(static_cast<char>(value >> (8 * i) & 0xFF));
    return *this;
  }
  std::string bytes_;
};

std::uint64_t low32(std::uint64_t value) {
  return std::min<std::uint64_t>(value, kFull32);
}
bool is_big(std::uint64_t value) {
  return value >= kFull32;
}

}  // namespace

void ZipWriter::add(std::string name, std::span<const std::byte> bytes, std::uint64_t alignment) {
  Entry entry{std::move(name), bytes.size(), 0, static_cast<std::uint64_t>(file_.bytes_written())};
  entry.crc = crc32(bytes);

  Bytes extra;
  if (is_big(entry.size)) extra.u16(kZip64Field).u16(16).u64(entry.size).u64(entry.size);
  const std::uint64_t start = entry.header + 30 + entry.name.size() + extra.str().size() + 4;
  const std::uint64_t padding = (alignment - start % alignment) % alignment;
  extra.u16(kPaddingField).u16(padding).text(std::string(padding, 'Z'));

  Bytes header;
  header.u32(0x04034B50)
      .u16(is_big(entry.size) ? 45 : 20)
      .u16(kUtf8Names)
      .u16(0);              // method 0: stored
  header.u16(0).u16(0x21);  // 1 January 1980
  header.u32(entry.crc).u32(low32(entry.size)).u32(low32(entry.size));
  header.u16(entry.name.size()).u16(extra.str().size()).text(entry.name).text(extra.str());
  file_.append(header.str());
  file_.append(bytes);
  entries_.push_back(std::move(entry));
}

void ZipWriter::commit() {
  const auto begin = static_cast<std::uint64_t>(file_.bytes_written());
  for (const Entry& entry : entries_) {
    Bytes extra;
    if (is_big(entry.size)) extra.u64(entry.size).u64(entry.size);
    if (is_big(entry.header)) extra.u64(entry.header);
    Bytes field;
    if (!extra.str().empty()) field.u16(kZip64Field).u16(extra.str().size()).text(extra.str());
    Bytes record;
    record.u32(0x02014B50)
        .u16(45)
        .u16(field.str().empty() ? 20 : 45)
        .u16(kUtf8Names)
        .u16(0)
        .u16(0)
        .u16(0x21);
    record.u32(entry.crc).u32(low32(entry.size)).u32(low32(entry.size));
    record.u16(entry.name.size()).u16(field.str().size()).u16(0).u16(0).u16(0).u32(0);
    record.u32(low32(entry.header)).text(entry.name).text(field.str());
    file_.append(record.str());
  }
  const std::uint64_t end = static_cast<std::uint64_t>(file_.bytes_written());
  const std::uint64_t count = entries_.size();
  if (is_big(begin) || is_big(end - begin) || count >= kFull16) {
    Bytes big;
    big.u32(0x06064B50)
        .u64(44)
        .u16(45)
        .u16(45)
        .u32(0)
        .u32(0)
        .u64(count)
        .u64(count)
        .u64(end - begin)
        .u64(begin);
    big.u32(0x07064B50).u32(0).u64(end).u32(1);
    file_.append(big.str());
  }
  Bytes tail;
  tail.u32(0x06054B50)
      .u16(0)
      .u16(0)
      .u16(std::min<std::uint64_t>(count, kFull16))
      .u16(std::min<std::uint64_t>(count, kFull16));
  tail.u32(low32(end - begin)).u32(low32(begin)).u16(0);
  file_.append(tail.str());
  file_.commit();
}

}  // namespace invp
