// How much there is to compute and to keep in a network, counted from the shapes of its weights,
// without building it.
#pragma once

#include <cstdint>

#include "layers/resnet.h"

namespace invp {

struct NetworkSize {
  std::int64_t parameters = 0;    ///< learned values: weights and biases, no running statistics
  std::int64_t convolutions = 0;  ///< each with a batch norm
  double forward_flops = 0;       ///< per image; two per multiplication with addition
  /// Elements that a forward pass keeps for the backward pass, per image, without recomputing:
  /// every convolution's output, what norms, blocks and pool put out, and the image itself.
  double kept_elements = 0;
};

NetworkSize size_of(const NetworkConfig& config, std::int64_t image_size);

}  // namespace invp
