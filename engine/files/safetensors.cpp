#include "engine/files/safetensors.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "engine/files/atomic_file.h"
#include "engine/files/checksum.h"
#include "engine/files/file_reader.h"
#include "engine/files/safetensors_header.h"

namespace invp {
namespace {

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeader = 100'000'000;  // the limit of the reference implementation

std::vector<const TensorEntry*> sorted_by_offset(const std::vector<TensorEntry>& entries) {
  std::vector<const TensorEntry*> sorted;
  for (const TensorEntry& entry : entries) sorted.push_back(&entry);
  std::ranges::sort(sorted, {}, [](const TensorEntry* e) { return std::pair(e->begin, e->end); });
  return sorted;
}

void check_cover(const FileReader& file, std::uint64_t data_begin,
                 const SafetensorsHeader& header) {
  std::uint64_t position = data_begin;
  for (const TensorEntry* entry : sorted_by_offset(header.entries)) {
    if (entry->begin != position) {
      file.fail_at(entry->begin, "tensor \"", entry->name, "\" ",
                   entry->begin < position ? "overlaps another tensor" : "leaves a hole before it",
                   "; the file is damaged");
    }
    position = entry->end;
  }
  if (position != file.size()) {
    file.fail_at(position, file.size() - position,
                 " bytes belong to no tensor; the file is damaged");
  }
}

SafetensorsHeader read_header(const FileReader& file) {
  std::array<std::byte, kLengthBytes> bytes{};
  if (file.size() < kLengthBytes) {
    file.fail_at(file.size(),
                 "too short for a safetensors file; it was cut short or is another kind of file");
  }
  file.read(0, bytes);
  const auto length = little_endian<std::uint64_t>(bytes.data());
  if (length > kMaxHeader) {
    file.fail_at(0, "a header of ", length, " bytes is announced, more than the ", kMaxHeader,
                 " allowed; this is no safetensors file, or it is damaged");
  }
  if (length < 2 || length > file.size() - kLengthBytes) {
    file.fail_at(0, "a header of ", length, " bytes does not fit the file of ", file.size(),
                 " bytes; it was cut short or is damaged");
  }
  std::string text(static_cast<std::size_t>(length), '\0');
  file.read(kLengthBytes, std::as_writable_bytes(std::span(text)));
  SafetensorsHeader header = parse_safetensors_header(file, text);
  check_cover(file, kLengthBytes + length, header);
  take_checksums(file, text, header);
  return header;
}

void check_elements(const FileReader& file, const TensorEntry& entry, std::uint32_t crc) {
  if (!entry.crc || *entry.crc == crc) return;
  file.fail_at(entry.begin, "tensor \"", entry.name,
               "\" does not have its checksum: the file is damaged");
}

}  // namespace

SafetensorsHeader read_safetensors_header(const std::filesystem::path& path) {
  return read_header(FileReader(path));
}

SafetensorsHeader check_safetensors(const std::filesystem::path& path,
                                    const std::function<void(std::uint64_t bytes)>& progress) {
  constexpr std::uint64_t kPiece = 1 << 22;
  const FileReader file(path);
  SafetensorsHeader header = read_header(file);
  std::vector<std::byte> piece(std::min(kPiece, file.size()));
  for (const TensorEntry& entry : header.entries) {
    std::uint32_t crc = 0;
    for (std::uint64_t at = entry.begin; at < entry.end; at += kPiece) {
      const std::span now =
          std::span(piece).first(static_cast<std::size_t>(std::min(kPiece, entry.end - at)));
      file.read(at, now);
      crc = crc32c(now, crc);
      progress(at + now.size());
    }
    check_elements(file, entry, crc);
  }
  return header;
}

namespace {

class SafetensorsSource : public TensorSource {
 public:
  explicit SafetensorsSource(const std::filesystem::path& path)
      : TensorSource(path.string()), file_(path) {
    SafetensorsHeader header = read_header(file_);
    metadata_ = std::move(header.metadata);
    has_checksums_ = header.has_checksums;
    contents_ = file_.size();
    for (const TensorEntry& entry : header.entries) tensors_.push_back(entry);
    entries_ = std::move(header.entries);
  }

  void read(std::size_t index, std::span<std::byte> to) const override {
    file_.read(entries_[index].begin, to);
    if (has_checksums_) check_elements(file_, entries_[index], crc32c(to));
  }

 private:
  FileReader file_;
  std::vector<TensorEntry> entries_;
};

/// Gives the entries their places, counted from the end of the header. Wide elements come first, so
/// that each tensor starts on a multiple of its element size: other readers map the file and use
/// the elements in place. Returns the order of the file.
std::vector<std::size_t> lay_out(std::vector<TensorEntry>& entries) {
  std::vector<std::size_t> order(entries.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::stable_sort(order, std::greater(),
                           [&](std::size_t i) { return bits_of(entries[i].type); });
  std::uint64_t position = 0;
  for (const std::size_t i : order) {
    entries[i].begin = position;
    entries[i].end = position += entries[i].bytes;
  }
  return order;
}

}  // namespace

std::unique_ptr<TensorSource> open_safetensors(const std::filesystem::path& path) {
  return std::make_unique<SafetensorsSource>(path);
}

TensorFile read_safetensors(const std::filesystem::path& path) {
  return open_safetensors(path)->all();
}

void write_safetensors_by_pieces(const std::filesystem::path& path,
                                 std::span<const StoredTensor> tensors,
                                 const std::map<std::string, std::string>& metadata,
                                 const GiveElements& give) {
  std::set<std::string_view> names = {"__metadata__"};
  SafetensorsHeader header;
  header.metadata = metadata;
  for (const StoredTensor& tensor : tensors) {
    CHECK(names.insert(tensor.name).second, path.string(), ": tensor \"", tensor.name,
          "\" is given twice");
    CHECK(safetensors_name(tensor.type) != nullptr, path.string(), ": tensor \"", tensor.name,
          "\" is of type ", name_of(tensor.type), ", which safetensors has no name for");
    header.entries.push_back({tensor, 0, 0});
  }
  const std::vector<std::size_t> order = lay_out(header.entries);
  reserve_checksums(header);
  std::string text = print_safetensors_header(header);
  CHECK(text.size() <= kMaxHeader, path.string(), ": names and metadata take ", text.size(),
        " bytes, more than the ", kMaxHeader, " that the format allows");
  std::array<std::byte, kLengthBytes> length{};
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    length[i] = static_cast<std::byte>(text.size() >> (8 * i));
  }
  AtomicFile file(path);
  file.append(length);
  file.append(text);
  std::vector<std::uint32_t> checksums(tensors.size());
  for (const std::size_t i : order) {
    std::uint64_t given = 0;
    give(i, [&](std::span<const std::byte> piece) {
      checksums[i] = crc32c(piece, checksums[i]);
      given += piece.size();
      file.append(piece);
    });
    CHECK(given == tensors[i].bytes, path.string(), ": tensor \"", tensors[i].name, "\" has ",
          tensors[i].bytes, " bytes, and ", given, " were given");
  }
  set_checksums(text, checksums);
  file.overwrite(kLengthBytes, std::as_bytes(std::span(text)));
  file.commit();
}

void write_safetensors(const std::filesystem::path& path, std::span<const StoredTensor> tensors,
                       const std::map<std::string, std::string>& metadata,
                       const FillElements& fill) {
  std::vector<std::byte> buffer;
  const auto give = [&](std::size_t i, const AppendElements& append) {
    const auto bytes = static_cast<std::size_t>(tensors[i].bytes);
    if (buffer.size() < bytes) buffer.resize(bytes);
    const std::span elements = std::span(buffer).first(bytes);
    fill(i, elements);
    append(elements);
  };
  write_safetensors_by_pieces(path, tensors, metadata, give);
}

void write_safetensors(const std::filesystem::path& path,
                       std::span<const std::pair<std::string, Tensor>> tensors,
                       const std::map<std::string, std::string>& metadata) {
  const auto give = [&](std::size_t i, const AppendElements& append) {
    const Tensor host = tensors[i].second.to(kCpu);  // of a tensor that is there already, no copy
    append({static_cast<const std::byte*>(host.raw()), host.nbytes()});
  };
  write_safetensors_by_pieces(path, stored_tensors(tensors), metadata, give);
}

}  // namespace invp
