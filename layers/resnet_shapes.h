// What a network's state dict holds, told without building the network.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "layers/resnet.h"

namespace invp {

struct NamedShape {
  std::string name;                   ///< torchvision's
  std::vector<std::int64_t> extents;  ///< in PyTorch's layout: OIHW
};

/// Everything but the head and num_batches_tracked.
std::vector<NamedShape> backbone_shapes(const NetworkConfig& config);
std::vector<NamedShape> head_shapes(const NetworkConfig& config);

}  // namespace invp
