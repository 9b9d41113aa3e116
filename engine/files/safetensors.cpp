#include "engine/files/safetensors.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "engine/files/atomic_file.h"
#include "engine/files/file_reader.h"
#include "engine/files/safetensors_header.h"

namespace invp {
namespace {

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeader = 100'000'000;  // the limit of the reference implementation

template <class Entry>
std::vector<Entry*> sorted_by_offset(std::vector<Entry>& entries) {
  std::vector<Entry*> sorted;
  for (Entry& entry : entries) sorted.push_back(&entry);
  std::ranges::sort(sorted, {}, [](const Entry* e) { return std::pair(e->begin, e->end); });
  return sorted;
}

void check_cover(const FileReader& file, std::uint64_t data_begin, SafetensorsHeader& header) {
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
  if (text.front() != '{') file.fail_at(kLengthBytes, "the header does not begin with '{'");
  SafetensorsHeader header = parse_safetensors_header(file, text);
  check_cover(file, kLengthBytes + length, header);
  return header;
}

}  // namespace

SafetensorsHeader read_safetensors_header(const std::filesystem::path& path) {
  return read_header(FileReader(path));
}

TensorFile read_safetensors(const std::filesystem::path& path) {
  const FileReader file(path);
  SafetensorsHeader header = read_header(file);
  TensorFile result;
  result.metadata = std::move(header.metadata);
  result.tensors.reserve(header.entries.size());
  for (TensorEntry& entry : header.entries) {
    Tensor tensor = read_elements(entry.type, entry.shape, false, [&](std::span<std::byte> bytes) {
      file.read(entry.begin, bytes);
    });
    result.tensors.emplace_back(std::move(entry.name), std::move(tensor));
  }
  return result;
}

void write_safetensors(const std::filesystem::path& path,
                       std::span<const std::pair<std::string, Tensor>> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::set<std::string_view> names = {"__metadata__"};
  SafetensorsHeader header;
  header.metadata = metadata;
  for (const auto& [name, tensor] : tensors) {
    CHECK(names.insert(name).second, path.string(), ": tensor \"", name, "\" is given twice");
    const auto type = stored_type_from_safetensors(safetensors_name(tensor.dtype()));
    header.entries.push_back({name, *type, tensor.shape(), 0, 0});
  }
  // Wide elements come first, so that each tensor starts on a multiple of its element size: other
  // readers map the file and use the elements in place.
  std::vector<std::size_t> order(tensors.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::stable_sort(order, std::greater(),
                           [&](std::size_t i) { return size_of(tensors[i].second.dtype()); });
  std::uint64_t position = 0;
  for (const std::size_t i : order) {
    header.entries[i].begin = position;
    header.entries[i].end = position += tensors[i].second.nbytes();
  }

  const std::string text = print_safetensors_header(header);
  CHECK(text.size() <= kMaxHeader, path.string(), ": names and metadata take ", text.size(),
        " bytes, more than the ", kMaxHeader, " that the format allows");
  std::array<std::byte, kLengthBytes> length{};
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    length[i] = static_cast<std::byte>(text.size() >> (8 * i));
  }
  AtomicFile file(path);
  file.append(length);
  file.append(text);
  for (const std::size_t i : order) {
    const Tensor host = tensors[i].second.to(kCpu);
    file.append({static_cast<const std::byte*>(host.raw()), host.nbytes()});
  }
  file.commit();
}

}  // namespace invp
