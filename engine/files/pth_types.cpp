#include "engine/files/pth_types.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace invp {
namespace {

constexpr PthType kTypes[] = {
    {StoredType::kF32, "FloatStorage", "float32"},
    {StoredType::kF64, "DoubleStorage", "float64"},
    {StoredType::kF16, "HalfStorage", "float16"},
    {StoredType::kBF16, "BFloat16Storage", "bfloat16"},
    {StoredType::kI64, "LongStorage", "int64"},
    {StoredType::kI32, "IntStorage", "int32"},
    {StoredType::kI16, "ShortStorage", "int16"},
    {StoredType::kI8, "CharStorage", "int8"},
    {StoredType::kU8, "ByteStorage", "uint8"},
    {StoredType::kBool, "BoolStorage", "bool"},
    {StoredType::kC64, "ComplexFloatStorage", "complex64"},
    {StoredType::kC128, "ComplexDoubleStorage", "complex128"},
    {StoredType::kU64, "", "uint64"},
    {StoredType::kU32, "", "uint32"},
    {StoredType::kU16, "", "uint16"},
    {StoredType::kF8E4M3, "", "float8_e4m3fn"},
    {StoredType::kF8E5M2, "", "float8_e5m2"},
    {StoredType::kF8E4M3Fnuz, "", "float8_e4m3fnuz"},
    {StoredType::kF8E5M2Fnuz, "", "float8_e5m2fnuz"},
    {StoredType::kF8E8M0, "", "float8_e8m0fnu"},
};

template <class Member>
std::optional<StoredType> type_called(std::string_view global, Member name) {
  constexpr std::string_view kModule = "torch.";
  if (!global.starts_with(kModule) || global.size() == kModule.size()) return std::nullopt;
  const auto* found = std::ranges::find(kTypes, global.substr(kModule.size()), name);
  if (found == std::end(kTypes)) return std::nullopt;
  return found->type;
}

}  // namespace

const PthType* pth_type(StoredType type) {
  const auto* found = std::ranges::find(kTypes, type, &PthType::type);
  return found == std::end(kTypes) ? nullptr : found;
}

std::optional<StoredType> type_of_storage(std::string_view global) {
  return type_called(global, &PthType::storage);
}

std::size_t storage_element_size(std::string_view global) {
  constexpr std::pair<std::string_view, std::size_t> kOthers[] = {
      {kUntypedStorage, 1},         {"torch.QInt8Storage", 1},    {"torch.QUInt8Storage", 1},
      {"torch.QUInt4x2Storage", 1}, {"torch.QUInt2x4Storage", 1}, {"torch.QInt32Storage", 4}};
  if (const auto type = type_of_storage(global)) return size_of(*type);
  for (const auto& [name, size] : kOthers) {
    if (name == global) return size;
  }
  return 0;
}

std::optional<StoredType> type_of_dtype(std::string_view global) {
  return type_called(global, &PthType::dtype);
}

}  // namespace invp
