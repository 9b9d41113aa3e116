// Principal components, for the input and the start of t-SNE. The number of threads does not change
// a bit of the result.
#pragma once

#include <cstdint>

#include "engine/core/tensor.h"

namespace invp {

/// The rows of `data` (n, d) f32, centred, as coordinates along the `count` axes of largest
/// variance, the largest first: (n, min(count, d)) f32, 0 beyond the rank. The element of each axis
/// that is largest in absolute value is positive. Decomposes X^T X or X X^T, whichever is smaller,
/// in double; where both are large, Lanczos' method finds the few axes that are wanted. Throws
/// Error for no rows, no columns or count < 1.
Tensor principal_components(const Tensor& data, std::int64_t count);

/// The features as t-SNE takes them: reduced to `pca` components if that is fewer than there are
/// columns (0: all are kept), centred, divided by the largest absolute value. (n, d or pca) f32.
Tensor prepare_features(const Tensor& features, std::int64_t pca);

}  // namespace invp
