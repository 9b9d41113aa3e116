#include "data/sets/cifar_pickle.h"

#include "engine/core/error.h"
#include "engine/files/file_reader.h"
#include "engine/files/numpy_pickle.h"
#include "engine/files/pickle.h"

namespace invp {
namespace {

using Kind = PickleValue::Kind;

Pickle read(const FileReader& file, std::span<const std::byte> bytes) {
  return read_pickle(bytes, numpy_globals(), file.path().string());
}

}  // namespace

CifarRecords read_cifar_pickle(const std::filesystem::path& path, std::string_view label_key) {
  const FileReader file(path);
  const std::vector<std::byte> bytes = file.read(0, file.size());
  const Pickle pickle = read(file, bytes);
  const PickleValue* data = pickle.root->get("data");
  const PickleValue* labels = pickle.root->get(label_key);
  CHECK(data != nullptr && labels != nullptr && labels->is(Kind::kList), path.string(),
        ": not a CIFAR batch; \"data\" and a list \"", label_key, "\" were expected");
  const auto array = numpy_array(*data, path.string());
  const bool pixels = array && array->type == StoredType::kU8 && array->extents.size() == 2 &&
                      array->extents[1] == static_cast<std::int64_t>(kCifarPixels);
  CHECK(pixels && array->extents[0] == std::ssize(labels->items), path.string(),
        ": \"data\" is not one row of ", kCifarPixels, " bytes for each of the ",
        labels->items.size(), " labels");
  CifarRecords records;
  records.planes.assign(array->bytes.begin(), array->bytes.end());
  for (const PickleValue* label : labels->items) {
    CHECK(label->is(Kind::kInt), path.string(), ": at byte ", label->offset,
          ": a label is not a number");
    records.labels.push_back(static_cast<std::int32_t>(label->integer));
  }
  return records;
}

std::vector<std::string> read_cifar_names(const std::filesystem::path& folder) {
  const std::pair<const char*, const char*> kFiles[] = {{"batches.meta", "label_names"},
                                                        {"meta", "fine_label_names"}};
  for (const auto& [name, key] : kFiles) {
    if (!std::filesystem::is_regular_file(folder / name)) continue;
    const FileReader file(folder / name);
    const std::vector<std::byte> bytes = file.read(0, file.size());
    const Pickle pickle = read(file, bytes);
    const PickleValue* list = pickle.root->get(key);
    if (list == nullptr) continue;
    std::vector<std::string> names;
    for (const PickleValue* item : list->items) names.push_back(item->text);
    return names;
  }
  return {};
}

}  // namespace invp
