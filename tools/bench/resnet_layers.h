// The convolutions a ResNet is made of, with their sizes: what invp bench layer runs one by one.
#pragma once

#include <cstdint>
#include <vector>

#include "layers/resnet.h"

namespace invp::cli {

struct ConvLayer {
  std::int64_t size = 0;  ///< input pixels per side
  std::int64_t in = 0;    ///< channels
  std::int64_t out = 0;
  int kernel = 1;
  int stride = 1;
  int count = 1;  ///< how often the network has this layer
};

/// Each distinct layer once, in the order of first use.
std::vector<ConvLayer> conv_layers(const NetworkConfig& network, std::int64_t image_size);

}  // namespace invp::cli
