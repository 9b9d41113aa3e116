// Tensors as matrices of Eigen. Only sources include this: Eigen takes seconds to compile.
#pragma once

#include <Eigen/Core>

#include "engine/core/tensor.h"

namespace invp {

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// The elements of `tensor` (n, d) f32 on the host, not copied.
inline Eigen::Map<RowMajor> matrix_of(const Tensor& tensor) {
  return {tensor.data<float>(), tensor.dim(0), tensor.dim(1)};
}

}  // namespace invp
