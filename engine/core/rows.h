// Rows of a matrix on the host.
#pragma once

#include <span>

#include "engine/core/tensor.h"

namespace invp {

/// Row i of `matrix` (n, width), whose elements are of type T.
template <class T>
std::span<T> row_of(const Tensor& matrix, std::int64_t i) {
  const std::int64_t width = matrix.dim(1);
  return {matrix.data<T>() + i * width, static_cast<std::size_t>(width)};
}

}  // namespace invp
