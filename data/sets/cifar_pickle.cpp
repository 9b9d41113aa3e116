#include "data/sets/cifar_pickle.h"

#include <cmath>
#include <limits>
#include <optional>

#include "engine/core/error.h"
#include "engine/files/file_reader.h"
#include "engine/files/numpy_pickle.h"
#include "engine/files/pickle.h"

namespace invp {
namespace {

using Kind = PickleValue::Kind;

Pickle read(const FileReader& file) {
  PickleInput input(file, 0, file.size());
  return read_pickle(input);
}

/// A number, numpy's too; nothing for anything else.
std::optional<std::int64_t> whole_number(const PickleValue& value) {
  if (value.is(Kind::kInt) || value.is(Kind::kBool)) return value.integer;
  const std::optional<double> number = numpy_scalar(value);
  if (!number || std::trunc(*number) != *number || std::abs(*number) > 1e15) return std::nullopt;
  return static_cast<std::int64_t>(*number);
}

/// A list, a tuple or a numpy array of whole numbers.
std::vector<std::int32_t> labels_of(const PickleValue& value, const std::string& file) {
  std::vector<std::int64_t> numbers;
  if (const auto array = numpy_array(value)) {
    auto whole = array->integers();
    CHECK(whole, file, ": at byte ", value.offset, ": the labels are of type ",
          name_of(array->type), ", not whole numbers");
    numbers = std::move(*whole);
  } else {
    CHECK(value.is(Kind::kList) || value.is(Kind::kTuple), file, ": at byte ", value.offset,
          ": the labels are neither a list nor a numpy array of numbers");
    for (const PickleValue* label : value.items) {
      const auto number = whole_number(*label);
      CHECK(number, file, ": at byte ", label->offset, ": a label is not a whole number");
      numbers.push_back(*number);
    }
  }
  std::vector<std::int32_t> labels;
  for (const std::int64_t number : numbers) {
    CHECK(number >= 0 && number <= std::numeric_limits<std::int32_t>::max(), file, ": label ",
          number, " is no class of CIFAR");
    labels.push_back(static_cast<std::int32_t>(number));
  }
  return labels;
}

/// (n, 3072), or the same with the planes apart.
bool is_planes(const std::vector<std::int64_t>& extents) {
  constexpr std::int64_t kPixels = kCifarPixels;
  if (extents.size() == 2) return extents[1] == kPixels;
  return extents.size() == 4 && extents[1] == 3 && extents[2] == kCifarSide &&
         extents[3] == kCifarSide;
}

}  // namespace

CifarRecords read_cifar_pickle(const std::filesystem::path& path, std::string_view label_key) {
  const FileReader file(path);
  const Pickle pickle = read(file);
  const PickleValue* data = pickle.root->get("data");
  const PickleValue* labels = pickle.root->get(label_key);
  CHECK(data != nullptr && labels != nullptr, path.string(), ": not a CIFAR batch; \"data\" and \"",
        label_key, "\" were expected");
  CifarRecords records;
  records.labels = labels_of(*labels, path.string());
  const auto array = numpy_array(*data);
  CHECK(array && array->type == StoredType::kU8 && is_planes(array->extents) &&
            array->extents[0] == std::ssize(records.labels),
        path.string(), ": \"data\" is not one row of ", kCifarPixels, " bytes for each of the ",
        records.labels.size(), " labels");
  records.planes.resize(array->bytes.size());
  array->copy_to(std::as_writable_bytes(std::span(records.planes)));
  return records;
}

std::vector<std::string> read_cifar_names(const std::filesystem::path& folder,
                                          std::size_t classes) {
  const std::pair<const char*, const char*> kFiles[] = {{"batches.meta", "label_names"},
                                                        {"meta", "fine_label_names"}};
  for (const auto& [name, key] : kFiles) {
    if (!std::filesystem::is_regular_file(folder / name)) continue;
    const FileReader file(folder / name);
    const Pickle pickle = read(file);
    const PickleValue* list = pickle.root->get(key);
    // One text may be recalled any number of times.
    if (list == nullptr || list->items.size() != classes) continue;
    std::vector<std::string> names;
    for (const PickleValue* item : list->items) {
      CHECK(item->is_string(), file.path().string(), ": at byte ", item->offset,
            ": a class name is no text");
      constexpr std::size_t kLongest = 1000;
      CHECK(item->text.size() <= kLongest, file.path().string(), ": at byte ", item->offset,
            ": a class name of ", item->text.size(), " bytes");
      names.push_back(item->text);
    }
    return names;
  }
  return {};
}

}  // namespace invp
