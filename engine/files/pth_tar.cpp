#include <algorithm>
#include <limits>

#include "engine/files/pth_source.h"
#include "engine/files/pth_types.h"
#include "engine/files/tar_reader.h"

namespace invp {
namespace {

using Kind = PickleValue::Kind;

/// A member of the archive, read from front to back: pickles with bare numbers between them.
class Member {
 public:
  Member(const FileReader& file, const TarMember& member)
      : file_(file), input_(file, member.begin, member.begin + member.size) {}

  Pickle pickle() { return read_pickle(input_); }
  std::int64_t number() { return little_endian<std::int64_t>(take(8).data()); }
  std::span<const std::byte> take(std::uint64_t count) {
    if (count > input_.left()) broken("ends in the middle");
    return input_.take(count);
  }
  std::uint64_t position() const { return input_.position(); }
  std::uint64_t left() const { return input_.left(); }
  void skip(std::uint64_t count) { input_.skip(count); }
  /// How many records follow.
  std::int64_t count() {
    const Pickle number = pickle();
    if (!number.root->is(Kind::kInt) || number.root->integer < 0)
      broken("does not begin with a count");
    return number.root->integer;
  }
  [[noreturn]] void broken(const char* what) const {
    file_.fail_at(input_.position(), "a part of the tar form ", what,
                  "; the file was cut short or is damaged");
  }

 private:
  const FileReader& file_;
  PickleInput input_;
};

std::string key_of(const PickleValue& value) {
  return value.is(Kind::kInt) ? std::to_string(value.integer) : value.text;
}

struct Storages {
  std::unordered_map<std::string, StorageReference> references;
  FileStorages::Places places;
};

/// For each storage a pickle (key, location, class), a 64-bit count and the elements; then a pickle
/// of those that are parts of others: (key, root, offset, count).
Storages read_storages(Member in) {
  Storages storages;
  for (std::int64_t left = in.count(); left > 0; --left) {
    const Pickle record = in.pickle();
    const auto& fields = record.root->items;
    const auto type = fields.size() == 3 ? type_of_storage(fields[2]->text) : std::nullopt;
    if (!type) in.broken("has a storage of a class that is not read");
    const std::string key = key_of(*fields[0]);
    const std::int64_t count = in.number();
    if (count < 0 || static_cast<std::uint64_t>(count) > in.left() / size_of(*type))
      in.broken("ends in the middle");
    const std::uint64_t bytes = static_cast<std::uint64_t>(count) * size_of(*type);
    storages.references[key] = {*type, key, count, 0, count};
    storages.places[key] = {in.position(), bytes};
    in.skip(bytes);
  }
  const Pickle parts = in.pickle();
  for (const PickleValue* part : parts.root->items) {
    const auto& fields = part->items;
    const auto root = fields.size() == 4 ? storages.references.find(key_of(*fields[1]))
                                         : storages.references.end();
    if (root == storages.references.end()) in.broken("has a part of a storage that is not there");
    StorageReference reference = root->second;
    reference.first = fields[2]->integer;
    reference.part = fields[3]->integer;
    if (reference.first < 0 || reference.part < 0 || reference.first > reference.count ||
        reference.part > reference.count - reference.first) {
      in.broken("has a part of a storage that reaches beyond it");
    }
    storages.references[key_of(*fields[0])] = reference;
  }
  return storages;
}

/// For each tensor a pickle (key, storage, class), the number of dimensions in 8 bytes of which
/// the first 4 count, the extents, the strides and the offset.
std::map<std::string, TensorView> read_tensors(Member in, const Storages& storages) {
  std::map<std::string, TensorView> tensors;
  for (std::int64_t left = in.count(); left > 0; --left) {
    const Pickle record = in.pickle();
    const auto& fields = record.root->items;
    const auto storage = fields.size() == 3 ? storages.references.find(key_of(*fields[1]))
                                            : storages.references.end();
    const auto rank = little_endian<std::uint32_t>(in.take(8).data());
    constexpr std::uint32_t kMaxRank = 64;
    if (storage == storages.references.end() || rank > kMaxRank)
      in.broken("describes a tensor that cannot be");
    TensorView view{storage->second, 0, {}, {}};
    for (std::uint32_t i = 0; i < rank; ++i) view.extents.push_back(in.number());
    for (std::uint32_t i = 0; i < rank; ++i) view.strides.push_back(in.number());
    view.offset = in.number();
    if (std::ranges::any_of(view.strides, [](std::int64_t stride) { return stride < 0; }))
      in.broken("describes a tensor that cannot be");
    tensors.emplace(key_of(*fields[0]), std::move(view));
  }
  return tensors;
}

}  // namespace

std::unique_ptr<TensorSource> open_pth_tar(std::shared_ptr<FileReader> file) {
  const std::vector<TarMember> members = read_tar(*file);
  const auto member = [&](const char* name) {
    const auto found = std::ranges::find(members, name, &TarMember::name);
    CHECK(found != members.end(), file->path().string(), ": a tar archive without the member \"",
          name, "\", so no PyTorch checkpoint; if it holds one, unpack it first");
    return Member(*file, *found);
  };
  Storages storages = read_storages(member("storages"));
  const auto numbered = read_tensors(member("tensors"), storages);
  Pickle pickle = member("pickle").pickle();
  const std::string name = file->path().string();
  const std::uint64_t contents = file->size();
  PthTensors tensors = find_tensors(*pickle.root, name, most_tensor_bytes(contents), numbered);
  auto elements = std::make_unique<FileStorages>(std::move(file), std::move(storages.places));
  return std::make_unique<PthSource>(name, std::move(tensors), std::move(pickle),
                                     std::move(elements), false, contents);
}

}  // namespace invp
