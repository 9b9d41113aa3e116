// numpy arrays and scalars as a pickle describes them, of numpy 1 and 2 and of every protocol: the
// CIFAR batches hold arrays, training checkpoints scalars.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/files/elements.h"
#include "engine/files/pickle.h"

namespace invp {

/// A view into the pickle; lives as long as it.
struct NumpyArray {
  StoredType type = StoredType::kU8;
  bool big_endian = false;
  std::vector<std::int64_t> extents;
  std::vector<std::int64_t> strides;  ///< of the elements as stored; none of an empty array
  std::string_view bytes;             ///< their number has been checked

  /// Writes the elements in row-major order and this machine's byte order; `to` has bytes.size().
  void copy_to(std::span<std::byte> to) const;
  /// The elements of an array of whole numbers, in row-major order; nothing for other types.
  std::optional<std::vector<std::int64_t>> integers() const;
};

/// Nothing if the value is no array of numbers (objects, texts, records), or a damaged one.
std::optional<NumpyArray> numpy_array(const PickleValue& value);
/// Of an array that is none of those: in words why. Empty if the value is no array at all.
std::string why_no_array(const PickleValue& value);

/// "f4"; empty for types that numpy does not have.
std::string_view numpy_code(StoredType type);

/// numpy.float64(3.5) and the like; nothing if the value is no scalar of a number type.
std::optional<double> numpy_scalar(const PickleValue& value);

}  // namespace invp
