// Principal components, for t-SNE's input and start: the same bits for any number of threads.
#pragma once

#include <cstdint>

#include "engine/core/tensor.h"

namespace invp {

/// The rows of `data` (n, d) f32, centred and expressed in the `count` directions of largest
/// variance, largest first: (n, min(count, d)) f32. The element of each direction that is largest
/// in absolute value is positive.
Tensor principal_components(const Tensor& data, std::int64_t count);

}  // namespace invp
