// How much memory a training step will take, for a word before the first one.
#pragma once

#include <cstdint>

#include "layers/detection/detector_config.h"

namespace invp {

/// Bytes of a step of so many pictures of this size, f32: weights with momentum and gradients, what
/// the forward pass keeps, and the gradients under way. A count of the kept maps, without what
/// kernels need for themselves.
std::int64_t training_bytes(const DetectorConfig& config, std::int64_t height, std::int64_t width,
                            std::int64_t pictures);

}  // namespace invp
