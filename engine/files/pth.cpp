#include "engine/files/pth.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "engine/files/file_reader.h"
#include "engine/files/pickle.h"
#include "engine/files/pth_source.h"
#include "engine/files/pth_types.h"
#include "engine/files/zip_reader.h"

namespace invp {
namespace {

using Kind = PickleValue::Kind;

constexpr std::string_view kZipMagic = "PK\x03\x04";
constexpr std::string_view kEmptyZipMagic = "PK\x05\x06";
// The plain form opens with a pickle of the number 0x1950a86a20f9469cfc6c: as protocols from 2 on
// write it, and as 0 and 1 do.
constexpr std::string_view kPlainMagic = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
constexpr std::string_view kPlainMagicLine = "L119547037146038801333356L\n.";
constexpr std::size_t kPlainMagicWithin = 32;
// A dictionary, as Python 2 and 3 begin one: protocols 2 to 5, and 0 and 1, which have no header.
constexpr std::string_view kPickleStarts[] = {"\x80\x02", "\x80\x03", "\x80\x04", "\x80\x05",
                                              "(dp",      "}q",       "}("};
constexpr std::string_view kTarMagic = "ustar";
constexpr std::uint64_t kTarMagicAt = 257;

enum class Form { kZip, kPlain, kTar, kPickle, kOther };

Form form_of(const FileReader& file) {
  std::array<char, kTarMagicAt + kTarMagic.size()> start{};
  const auto known = std::min<std::uint64_t>(start.size(), file.size());
  file.read(0, std::as_writable_bytes(std::span(start).first(known)));
  const std::string_view text(start.data(), known);
  if (text.starts_with(kZipMagic) || text.starts_with(kEmptyZipMagic)) return Form::kZip;
  const std::string_view first = text.substr(0, kPlainMagicWithin);
  if (text.starts_with(kPlainMagicLine) ||
      (text.starts_with('\x80') && first.find(kPlainMagic) != std::string_view::npos)) {
    return Form::kPlain;
  }
  if (text.ends_with(kTarMagic) && known == start.size()) return Form::kTar;
  // The length of a safetensors header may begin like a pickle, but ends in zeros.
  constexpr std::string_view kLengthEnds("\0\0\0\0{", 5);
  const auto begins = [&](std::string_view magic) { return text.starts_with(magic); };
  if (std::ranges::any_of(kPickleStarts, begins) && text.size() > 4 &&
      !text.substr(4).starts_with(kLengthEnds))
    return Form::kPickle;
  return Form::kOther;
}

/// Storages in their own entries of a zip archive, which can only be read as a whole: the last one
/// is kept, since a model's parameters may all be views of one.
class ZipStorages : public PthStorages {
 public:
  ZipStorages(std::unique_ptr<ZipReader> zip, std::string folder, std::string name)
      : zip_(std::move(zip)),
        folder_(std::move(folder)),
        name_(std::move(name)),
        allowance_(name_, zip_->contents()) {}

  void check(const StorageReference& storage) const override {
    const ZipReader::Entry* entry = entry_of(storage);
    if (entry == nullptr)
      fail(name_, ": storage \"", storage.key, "\" is missing from the archive");
    if (storage.bytes() != entry->size) {
      fail(name_, ": storage \"", storage.key, "\" has ", entry->size, " bytes, not the ",
           storage.bytes(), " expected; the file is damaged");
    }
  }

  void read(const StorageReference& storage, std::uint64_t begin,
            std::span<std::byte> to) override {
    const ZipReader::Entry& entry = *entry_of(storage);
    if (to.size() == entry.size) return zip_->read(entry, to);
    if (kept_ != entry.name) {
      allowance_.spend(entry.size);
      contents_ = zip_->read(entry);
      kept_ = entry.name;
    }
    std::ranges::copy(std::span(contents_).subspan(begin, to.size()), to.begin());
  }

 private:
  const ZipReader::Entry* entry_of(const StorageReference& storage) const {
    return zip_->find(folder_ + "data/" + storage.key);
  }

  std::unique_ptr<ZipReader> zip_;
  std::string folder_;
  std::string name_;
  ReadAllowance allowance_;
  std::string kept_;
  std::vector<std::byte> contents_;
};

std::unique_ptr<TensorSource> open_zip_form(const std::filesystem::path& path) {
  auto zip = std::make_unique<ZipReader>(path);
  constexpr std::string_view kPickle = "data.pkl";
  const auto pickle_entry = std::ranges::find_if(zip->entries(), [&](const auto& entry) {
    return entry.name == kPickle ||
           (entry.name.ends_with("/data.pkl") && std::ranges::count(entry.name, '/') == 1);
  });
  if (pickle_entry == zip->entries().end()) {
    fail(path.string(), ": a zip archive without data.pkl, so no PyTorch checkpoint");
  }
  const std::string folder =
      pickle_entry->name.substr(0, pickle_entry->name.size() - kPickle.size());
  CHECK(
      zip->find(folder + "constants.pkl") == nullptr, path.string(),
      ": a TorchScript program; save the state dict instead (torch.save(model.state_dict(), ...))");

  bool swap = false;
  if (const ZipReader::Entry* order = zip->find(folder + "byteorder")) {
    const std::vector<std::byte> bytes = zip->read(*order);
    swap = std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()) == "big";
  }
  const std::string name = path.string() + " (" + pickle_entry->name + ")";
  const std::vector<std::byte> bytes = zip->read(*pickle_entry);
  PickleInput input(bytes, name);
  Pickle pickle = read_pickle(input);
  const std::uint64_t contents = zip->contents();
  const bool checksums = std::ranges::none_of(zip->entries(), [](const ZipReader::Entry& entry) {
    return entry.without_crc && entry.size > 0;
  });
  PthTensors tensors = find_tensors(*pickle.root, name, most_tensor_bytes(contents));
  auto storages = std::make_unique<ZipStorages>(std::move(zip), folder, name);
  return std::make_unique<PthSource>(path.string(), std::move(tensors), std::move(pickle),
                                     std::move(storages), swap, contents, checksums);
}

/// Bytes of an element. Only the object's mention of a storage tells them, and so where the next
/// one begins.
std::unordered_map<std::string, std::size_t> sizes_of_storages(const Pickle& object) {
  std::unordered_map<std::string, std::size_t> sizes;
  for (const PickleValue& value : *object.values) {
    if (!value.is(Kind::kPersistent) || value.items[0]->items.size() < 5) continue;
    const auto& id = value.items[0]->items;
    sizes.emplace(id[2]->text, storage_element_size(id[1]->text));
  }
  return sizes;
}

/// Four pickles (magic, protocol, system, object), one more of the storages' keys, then for each
/// key a 64-bit count and the elements.
std::unique_ptr<TensorSource> open_plain_form(const std::shared_ptr<FileReader>& file) {
  const std::string name = file->path().string();
  PickleInput input(*file, 0, file->size());
  read_pickle(input);  // the magic number
  read_pickle(input);  // the protocol's number, always 1001
  const Pickle system = read_pickle(input);
  const PickleValue* little = system.root->get("little_endian");
  const bool swap = little != nullptr && little->is(Kind::kBool) && little->integer == 0;
  Pickle object = read_pickle(input);
  const Pickle keys = read_pickle(input);

  const auto sizes = sizes_of_storages(object);
  FileStorages::Places places;
  std::uint64_t position = input.position();
  for (const PickleValue* key : keys.root->items) {
    const auto known = sizes.find(key->text);
    const std::size_t size = known == sizes.end() ? 0 : known->second;
    // Where it ends is not known, so the ones after it are missing.
    if (size == 0 || file->size() - position < sizeof(std::uint64_t)) break;
    const auto count = little_endian<std::uint64_t>(file->read(position, 8).data());
    position += sizeof(count);
    const std::uint64_t bytes = count * size;
    places[key->text] = {position, bytes};
    if (count > (file->size() - position) / size) break;  // the file ends first
    position += bytes;
  }
  PthTensors tensors = find_tensors(*object.root, name, most_tensor_bytes(file->size()));
  auto storages = std::make_unique<FileStorages>(file, std::move(places));
  return std::make_unique<PthSource>(name, std::move(tensors), std::move(object),
                                     std::move(storages), swap, file->size());
}

/// A dictionary of numpy arrays, as detectron2 keeps weights. Tensors in it have no storages.
std::unique_ptr<TensorSource> open_bare_pickle(const std::shared_ptr<FileReader>& file) {
  const std::string name = file->path().string();
  PickleInput input(*file, 0, file->size());
  Pickle pickle = read_pickle(input);
  PthTensors tensors = find_tensors(*pickle.root, name, most_tensor_bytes(file->size()));
  CHECK(!tensors.tensors.empty(), name, ": a pickle without an array of numbers in it");
  auto storages = std::make_unique<FileStorages>(file, FileStorages::Places());
  return std::make_unique<PthSource>(name, std::move(tensors), std::move(pickle),
                                     std::move(storages), /*swap=*/false, file->size());
}

}  // namespace

bool looks_like_pth(const std::filesystem::path& path) {
  return form_of(FileReader(path)) != Form::kOther;
}

std::unique_ptr<TensorSource> open_pth(const std::filesystem::path& path) {
  auto file = std::make_shared<FileReader>(path);
  switch (form_of(*file)) {
    case Form::kZip: return open_zip_form(path);
    case Form::kPlain: return open_plain_form(file);
    case Form::kTar: return open_pth_tar(std::move(file));
    case Form::kPickle: return open_bare_pickle(file);
    case Form::kOther: break;
  }
  file->fail_at(0,
                "not a PyTorch checkpoint; it begins neither like its zip form nor like the older "
                "plain and tar forms, nor like a pickle");
}

TensorFile read_pth(const std::filesystem::path& path) {
  return open_pth(path)->all();
}

}  // namespace invp
