#include "engine/files/pth_writer.h"

#include <algorithm>

#include "engine/files/pth_types.h"
#include "engine/files/zip_writer.h"

namespace invp {

namespace {

constexpr int kProtocol = 2;  // what torch.save writes, opcode by opcode

// torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks), or _v3 with
// the type behind them, of types whose storages have no class of their own.
void pickle_tensor(PickleWriter& pickle, const StoredTensor& tensor, const PthType& type,
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
  pickle.boolean(false);
  pickle.empty_ordered_dict();
  if (untyped) pickle.global("torch", type.dtype);
  pickle.opcode("tR");
}

}  // namespace

void write_pth(const std::filesystem::path& path, std::span<const StoredTensor> tensors,
               const FillElements& fill, const PickleEnvelope& envelope) {
  // The folder inside the archive is the file's name, as torch.save makes it.
  const std::string folder = path.stem().string() + "/";
  PickleWriter pickle(kProtocol);
  envelope.open(pickle);
  pickle.empty_ordered_dict();
  pickle.opcode("(");
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const PthType* type = pth_type(tensors[i].type);
    CHECK(type != nullptr, path.string(), ": tensor \"", tensors[i].name, "\" is of type ",
          name_of(tensors[i].type), ", which PyTorch has no name for");
    pickle.text(tensors[i].name);
    pickle_tensor(pickle, tensors[i], *type, std::to_string(i));
  }
  pickle.opcode("u");
  envelope.close(pickle);

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
