#include "engine/files/pth_source.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace invp {
namespace {

bool is_complex(StoredType type) {
  return type == StoredType::kC64 || type == StoredType::kC128;
}

/// Do the elements lie in row-major order without gaps?
bool is_contiguous(const TensorView& view) {
  std::int64_t row_major = 1;
  for (std::size_t i = view.extents.size(); i-- > 0;) {
    if (view.extents[i] != 1 && view.strides[i] != row_major) return false;
    row_major *= view.extents[i];
  }
  return true;
}

/// Elements from the first to the last one used, both included.
std::int64_t reach(const TensorView& view) {
  std::int64_t last = 0;
  for (std::size_t i = 0; i < view.extents.size(); ++i)
    last += (view.extents[i] - 1) * view.strides[i];
  return last + 1;
}

void copy_strided(const TensorView& view, std::size_t size, std::span<const std::byte> from,
                  std::span<std::byte> to) {
  std::vector<std::int64_t> index(view.extents.size());
  std::int64_t position = 0;
  for (std::size_t at = 0; at < to.size(); at += size) {
    std::memcpy(to.data() + at, from.data() + static_cast<std::size_t>(position) * size, size);
    for (std::size_t d = index.size(); d-- > 0;) {
      position += view.strides[d];
      if (++index[d] < view.extents[d]) break;
      position -= view.extents[d] * view.strides[d];
      index[d] = 0;
    }
  }
}

}  // namespace

void FileStorages::check(const StorageReference& storage) const {
  const std::string file = file_->path().string();
  const auto place = places_.find(storage.key);
  CHECK(place != places_.end(), file, ": storage \"", storage.key,
        "\" is missing; the file was cut short or is damaged: copy or download it again");
  const auto [begin, bytes] = place->second;
  CHECK(bytes == storage.bytes(), file, ": storage \"", storage.key, "\" has ", bytes,
        " bytes, not the ", storage.bytes(), " expected; the file is damaged");
  CHECK(begin <= file_->size() && bytes <= file_->size() - begin, file, ": storage \"", storage.key,
        "\" reaches beyond the file, which was cut short: copy or download it again");
}

void FileStorages::read(const StorageReference& storage, std::uint64_t begin,
                        std::span<std::byte> to) {
  file_->read(places_.at(storage.key).begin + begin, to);
}

PthSource::PthSource(std::string path, PthTensors tensors, Pickle pickle,
                     std::unique_ptr<PthStorages> storages, bool swap, std::uint64_t contents,
                     bool checksums)
    : TensorSource(std::move(path)),
      places_(std::move(tensors.places)),
      pickle_(std::move(pickle)),
      storages_(std::move(storages)),
      allowance_(this->path(), contents),
      swap_(swap) {
  tensors_ = std::move(tensors.tensors);
  metadata_ = std::move(tensors.metadata);
  left_out_ = std::move(tensors.left_out);
  wrapper_ = std::move(tensors.wrapper);
  contents_ = contents;
  has_checksums_ = checksums;
}

void PthSource::read(std::size_t index, std::span<std::byte> to) const {
  CHECK(to.size() == tensors_[index].bytes, "[pth] ", to.size(), " bytes for a tensor of ",
        tensors_[index].bytes);
  if (to.empty()) return;
  if (const auto* array = std::get_if<NumpyArray>(&places_[index])) return array->copy_to(to);
  read_view(std::get<TensorView>(places_[index]), to);
}

void PthSource::read_view(const TensorView& view, std::span<std::byte> to) const {
  const StoredType type = view.storage.type;
  const std::size_t size = size_of(type);
  const auto begin = static_cast<std::uint64_t>(view.storage.first + view.offset) * size;
  storages_->check(view.storage);  // before what a damaged file may ask for is allocated
  if (is_contiguous(view)) {
    storages_->read(view.storage, begin, to);
  } else {
    std::vector<std::byte> stored(static_cast<std::size_t>(reach(view)) * size);
    allowance_.spend(stored.size());
    storages_->read(view.storage, begin, stored);
    copy_strided(view, size, stored, to);
  }
  if (swap_ && size > 1) swap_bytes(to, is_complex(type) ? size / 2 : size);
}

}  // namespace invp
