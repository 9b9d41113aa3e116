// numpy arrays and scalars as a pickle describes them: the CIFAR batches hold arrays, training
// checkpoints scalars.
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

/// The globals that numpy's pickles name, of numpy 1 and 2.
std::span<const std::string_view> numpy_globals();

/// A view into the pickle; lives as long as it.
struct NumpyArray {
  StoredType type = StoredType::kU8;
  bool big_endian = false;
  std::vector<std::int64_t> extents;
  std::string_view bytes;  ///< row-major; their number has been checked

  /// Throws beyond Shape::kMaxRank dimensions.
  Tensor to_tensor() const;
};

/// Nothing if the value is no array; throws for one that is damaged, of objects, or in Fortran
/// order.
std::optional<NumpyArray> numpy_array(const PickleValue& value, const std::string& file);

/// numpy.float64(3.5) and the like; nothing if the value is no scalar of a number type.
std::optional<double> numpy_scalar(const PickleValue& value);

}  // namespace invp
