#include "engine/files/pth.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <vector>

#include "engine/files/file_reader.h"
#include "engine/files/pickle.h"
#include "engine/files/pth_tensors.h"
#include "engine/files/zip_reader.h"

namespace invp {
namespace {

constexpr std::array<unsigned char, 4> kZipMagic = {'P', 'K', 3, 4};
constexpr std::array<unsigned char, 4> kEmptyZipMagic = {'P', 'K', 5, 6};
// The plain form opens with a pickle of the number 0x1950a86a20f9469cfc6c.
constexpr std::array<unsigned char, 15> kPlainMagic = {
    0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e};

template <std::size_t N>
bool begins_with(const FileReader& file, const std::array<unsigned char, N>& magic) {
  if (file.size() < N) return false;
  std::array<unsigned char, N> start{};
  file.read(0, std::as_writable_bytes(std::span(start)));
  return start == magic;
}

bool is_zip_form(const FileReader& file) {
  return begins_with(file, kZipMagic) || begins_with(file, kEmptyZipMagic);
}

/// The most bytes of tensors that are made of so many stored ones: conversion makes i8 four times
/// as wide, and some tensors share or repeat their elements.
std::uint64_t tensor_budget(std::uint64_t stored) {
  return 4 * stored + (std::uint64_t{256} << 20);
}

Tensor read_storage(const StorageReference& storage, bool swap,
                    const std::function<void(std::span<std::byte>)>& fill) {
  return read_elements(storage.type, Shape{storage.count}, swap && size_of(storage.type) > 1, fill);
}

TensorFile read_zip_form(const std::filesystem::path& path) {
  const ZipReader zip(path);
  constexpr std::string_view kPickle = "data.pkl";
  const auto pickle_entry = std::ranges::find_if(zip.entries(), [&](const ZipReader::Entry& entry) {
    return entry.name == kPickle ||
           (entry.name.ends_with("/data.pkl") && std::ranges::count(entry.name, '/') == 1);
  });
  if (pickle_entry == zip.entries().end()) {
    fail(path.string(), ": a zip archive without data.pkl, so no PyTorch checkpoint");
  }
  const std::string folder =
      pickle_entry->name.substr(0, pickle_entry->name.size() - kPickle.size());
  CHECK(
      zip.find(folder + "constants.pkl") == nullptr, path.string(),
      ": a TorchScript program; save the state dict instead (torch.save(model.state_dict(), ...))");

  bool swap = false;
  if (const ZipReader::Entry* order = zip.find(folder + "byteorder")) {
    const std::vector<std::byte> bytes = zip.read(*order);
    swap = std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()) == "big";
  }
  const std::vector<std::byte> bytes = zip.read(*pickle_entry);
  const std::string name = path.string() + " (" + pickle_entry->name + ")";
  const Pickle pickle = read_pickle(bytes, pth_globals(), name);
  return flatten_pth(
      *pickle.root, name, tensor_budget(zip.contents()), [&](const StorageReference& storage) {
        const ZipReader::Entry* entry = zip.find(folder + "data/" + storage.key);
        if (entry == nullptr)
          fail(name, ": storage \"", storage.key, "\" is missing from the archive");
        const auto wanted = checked_bytes(std::array{storage.count}, size_of(storage.type));
        if (wanted != entry->size) {
          fail(name, ": storage \"", storage.key, "\" has ", entry->size, " bytes, not the ",
               storage.count, " elements expected; the file is damaged");
        }
        return read_storage(storage, swap, [&](std::span<std::byte> to) { zip.read(*entry, to); });
      });
}

/// Four pickles (magic, protocol, system, object), one more of the storages' keys, then for each
/// key a 64-bit count and the elements.
TensorFile read_plain_form(const FileReader& file) {
  const std::string name = file.path().string();
  const std::vector<std::byte> bytes = file.read(0, file.size());
  std::size_t position = kPlainMagic.size();
  const auto next_pickle = [&] {
    Pickle pickle = read_pickle(std::span(bytes).subspan(position), pth_globals(), name, position);
    position += pickle.size;
    return pickle;
  };
  next_pickle();  // the protocol's number, always 1001
  const Pickle system = next_pickle();
  const PickleValue* little = system.root->get("little_endian");
  const bool swap =
      little != nullptr && little->is(PickleValue::Kind::kBool) && little->integer == 0;
  const Pickle object = next_pickle();
  const Pickle keys = next_pickle();

  // Only the object's mention of a storage tells its width, and so where the next one begins.
  std::map<std::string, StoredType> types;
  for (const PickleValue& value : *object.values) {
    if (!value.is(PickleValue::Kind::kPersistent)) continue;
    const StorageReference storage = parse_storage(value, name);
    types.emplace(storage.key, storage.type);
  }
  struct Place {
    std::uint64_t begin;
    std::uint64_t count;
  };
  std::map<std::string, Place> places;
  for (const PickleValue* key : keys.root->items) {
    const auto type = types.find(key->text);
    if (type == types.end())
      file.fail_at(position, "storage \"", key->text, "\" belongs to no tensor");
    if (bytes.size() - position < 8)
      file.read(position, 8);  // fails with the place where the file ends
    const auto count = little_endian<std::uint64_t>(&bytes[position]);
    position += 8;
    if (count > (bytes.size() - position) / size_of(type->second)) {
      file.fail_at(position, "storage \"", key->text, "\" should have ", count,
                   " elements, but the file ends first; copy or download it again");
    }
    places[key->text] = {position, count};
    position += static_cast<std::size_t>(count) * size_of(type->second);
  }
  return flatten_pth(*object.root, name, tensor_budget(file.size()),
                     [&](const StorageReference& storage) {
                       const auto place = places.find(storage.key);
                       if (place == places.end())
                         fail(name, ": storage \"", storage.key, "\" is missing from the file");
                       if (place->second.count != static_cast<std::uint64_t>(storage.count)) {
                         file.fail_at(place->second.begin, "storage \"", storage.key, "\" has ",
                                      place->second.count, " elements, not the ", storage.count,
                                      " expected; the file is damaged");
                       }
                       return read_storage(storage, swap, [&](std::span<std::byte> to) {
                         const auto from = std::span(bytes).subspan(place->second.begin, to.size());
                         std::ranges::copy(from, to.begin());
                       });
                     });
}

}  // namespace

bool looks_like_pth(const std::filesystem::path& path) {
  const FileReader file(path);
  return is_zip_form(file) || begins_with(file, kPlainMagic);
}

TensorFile read_pth(const std::filesystem::path& path) {
  const FileReader file(path);
  if (is_zip_form(file)) return read_zip_form(path);
  if (begins_with(file, kPlainMagic)) return read_plain_form(file);
  file.fail_at(0,
               "not a PyTorch checkpoint; it begins neither like its zip form nor like its older "
               "plain form");
}

}  // namespace invp
