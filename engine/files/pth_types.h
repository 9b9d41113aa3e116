// The names that PyTorch gives to element types.
#pragma once

#include <optional>
#include <string_view>

#include "engine/files/elements.h"

namespace invp {

struct PthType {
  StoredType type;
  std::string_view storage;  ///< its class in "torch"; empty: the bytes of torch.storage
  std::string_view dtype;    ///< its name in "torch"
};

/// Null for types that PyTorch has no name for.
const PthType* pth_type(StoredType type);
/// "torch.FloatStorage" -> f32. Nothing for other classes, the untyped ones among them.
std::optional<StoredType> type_of_storage(std::string_view global);
/// Bytes of an element of a storage's class, also of those whose tensors are not read; 0 if
/// unknown.
std::size_t storage_element_size(std::string_view global);
/// "torch.float32" -> f32.
std::optional<StoredType> type_of_dtype(std::string_view global);

inline constexpr std::string_view kUntypedStorage = "torch.storage.UntypedStorage";

}  // namespace invp
