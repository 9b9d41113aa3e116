// From the tree of a checkpoint's pickle to the places of named tensors (used by the readers of
// .pth files alone): what the calls noted in the tree stand for.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/files/numpy_pickle.h"
#include "engine/files/pickle.h"
#include "engine/files/tensor_source.h"

namespace invp {

/// A run of elements that tensors are views of, as the pickle refers to it.
struct StorageReference {
  StoredType type = StoredType::kF32;
  std::string key;
  std::int64_t count = 0;  ///< elements of the whole storage
  std::int64_t first = 0;  ///< where a storage that is a part of it begins
  std::int64_t part = 0;   ///< elements of that part; `count` for the whole

  /// Of the whole storage; parse_storage has checked that it fits.
  std::uint64_t bytes() const { return static_cast<std::uint64_t>(count) * size_of(type); }
};
/// From the persistent identifier ('storage', class, key, location, count, view). The count of an
/// untyped storage is of bytes, and its type u8. In words why not, when it is none.
std::variant<StorageReference, std::string> parse_storage(const PickleValue& value);

struct TensorView {
  StorageReference storage;
  std::int64_t offset = 0;  ///< elements from the start of the storage's part
  std::vector<std::int64_t> extents;
  std::vector<std::int64_t> strides;
};

/// Where the elements of a tensor come from. Arrays are views into the pickle.
using PthPlace = std::variant<TensorView, NumpyArray>;

struct PthTensors {
  std::vector<StoredTensor> tensors;
  std::vector<PthPlace> places;  ///< one for each
  std::map<std::string, std::string> metadata;
  std::vector<std::string> left_out;
  std::string wrapper;  ///< "state_dict.", "model." or ""
};

/// Walks the tree: dictionaries, lists, tensors and arrays in them, modules that were saved whole.
/// Everything else is of no concern. `numbered` are the tensors that the persistent identifiers
/// of the tar form mean. A tensor larger than `max_bytes` is left out. Throws Error beyond a
/// million entries, and for names that are too long.
PthTensors find_tensors(const PickleValue& root, const std::string& file, std::uint64_t max_bytes,
                        const std::map<std::string, TensorView>& numbered = {});

/// Does the view lie in its storage? Fills in the number of bytes.
bool fits(const TensorView& view, std::uint64_t& bytes);

}  // namespace invp
