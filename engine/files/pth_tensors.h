// From the tree of a checkpoint's pickle to named tensors (used by pth.cpp alone): what the calls
// noted in the tree stand for.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/files/elements.h"
#include "engine/files/pickle.h"
#include "engine/files/tensor_file.h"

namespace invp {

/// The globals a checkpoint may name.
std::span<const std::string_view> pth_globals();

/// A run of elements that tensors are views of, as the pickle refers to it.
struct StorageReference {
  StoredType type = StoredType::kF32;
  std::string key;
  std::int64_t count = 0;
  std::uint64_t offset = 0;  ///< where the pickle mentions it
};
/// From the persistent identifier ('storage', class, key, location, count[, None]).
StorageReference parse_storage(const PickleValue& value, const std::string& file);

/// The 1-D tensor of a storage, already converted; called at most once for each key.
using StorageLoader = std::function<Tensor(const StorageReference&)>;

/// Walks the tree. `max_bytes` bounds the tensors' sum: views that repeat a storage must not fill
/// the memory from a small file.
TensorFile flatten_pth(const PickleValue& root, const std::string& file, std::uint64_t max_bytes,
                       const StorageLoader& load);

}  // namespace invp
