#include "engine/files/pth_writer.h"

#include <algorithm>

#include "engine/files/pth_types.h"
#include "engine/files/zip_writer.h"

namespace invp {

namespace {

/// Pickle, protocol 2: what torch.save writes, opcode by opcode.
class Pickler {
 public:
  Pickler() { opcode("\x80\x02"); }

  void opcode(std::string_view code) { bytes_ += code; }
  void global(std::string_view module, std::string_view name) {
    (((bytes_ += 'c') += module) += '\n') += name, bytes_ += '\n';
  }
  void text(std::string_view value) {
    bytes_ += 'X';
    little_endian(value.size(), 4);
    bytes_ += value;
  }
  void integer(std::int64_t value) {
    if (value >= 0 && value <= 0x7FFFFFFF) {
      bytes_ += 'J';
      return little_endian(static_cast<std::uint64_t>(value), 4);
    }
    bytes_ += "\x8a\x08";  // LONG1 of eight bytes
    little_endian(static_cast<std::uint64_t>(value), 8);
  }
  void tuple(std::span<const std::int64_t> values) {
    bytes_ += '(';
    for (const std::int64_t value : values) integer(value);
    bytes_ += 't';
  }
  void empty_ordered_dict() {
    global("collections", "OrderedDict");
    bytes_ += ")R";
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void little_endian(std::uint64_t value, int count) {
    for (int i = 0; i < count; ++i) bytes_.push_back(static_cast<char>(value >> (8 * i) & 0xFF));
  }
  std::string bytes_;
};

// torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks), or _v3 with
// the type behind them, of types whose storages have no class of their own.
void pickle_tensor(Pickler& pickle, const StoredTensor& tensor, const PthType& type,
                   const std::string& key) {
  const bool untyped = type.storage.empty();
  const auto size = static_cast<std::int64_t>(size_of(tensor.type));
  const std::int64_t bytes = static_cast<std::int64_t>(tensor.bytes);
  pickle.global("torch._utils", untyped ? "_rebuild_tensor_v3" : "_rebuild_tensor_v2");
  pickle.opcode("((");
  pickle.text("storage");
  untyped ? pickle.global("torch.storage", "UntypedStorage") : pickle.global("torch", type.storage);
  pickle.text(key);
  pickle.text("cpu");
  pickle.integer(untyped ? bytes : bytes / size);
  pickle.opcode("tQ");
  pickle.integer(0);
  const auto& dims = tensor.extents;
  pickle.tuple(dims);
  std::vector<std::int64_t> strides(dims.size(), 1);
  for (std::size_t i = dims.size(); i-- > 1;)
    strides[i - 1] = strides[i] * std::max<std::int64_t>(dims[i], 1);
  pickle.tuple(strides);
  pickle.opcode("\x89");
  pickle.empty_ordered_dict();
  if (untyped) pickle.global("torch", type.dtype);
  pickle.opcode("tR");
}

}  // namespace

void write_pth(const std::filesystem::path& path, std::span<const StoredTensor> tensors,
               const FillElements& fill) {
  // The folder inside the archive is the file's name, as torch.save makes it.
  const std::string folder = path.stem().string() + "/";
  Pickler pickle;
  pickle.empty_ordered_dict();
  pickle.opcode("(");
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const PthType* type = pth_type(tensors[i].type);
    CHECK(type != nullptr, path.string(), ": tensor \"", tensors[i].name, "\" is of type ",
          name_of(tensors[i].type), ", which PyTorch has no name for");
    pickle.text(tensors[i].name);
    pickle_tensor(pickle, tensors[i], *type, std::to_string(i));
  }
  pickle.opcode("u.");

  ZipWriter zip(path);
  zip.add(folder + "data.pkl", pickle.bytes());
  zip.add(folder + "byteorder", "little");
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    std::vector<std::byte> elements(static_cast<std::size_t>(tensors[i].bytes));
    fill(i, elements);
    zip.add(folder + "data/" + std::to_string(i), elements);
  }
  zip.add(folder + "version", "3\n");
  zip.commit();
}

void write_pth(const std::filesystem::path& path,
               std::span<const std::pair<std::string, Tensor>> tensors) {
  write_pth(path, stored_tensors(tensors), elements_of(tensors));
}

}  // namespace invp
