// Weights, images and labels that a test and a Python script of golden/ both compute
// (golden/make_layers.py: splitmix64, 24 bits), so that they need not be stored.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "layers/exchange.h"

namespace invp::testing {

/// Numbers in [-scale, scale).
inline std::vector<float> uniform(std::uint64_t stream, std::int64_t count, float scale = 1) {
  std::vector<float> values;
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(count); ++i) {
    std::uint64_t z = (stream << 32) + i + 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    z ^= z >> 31;
    values.push_back(static_cast<float>(static_cast<double>(z >> 40) / 8388608.0 - 1.0) * scale);
  }
  return values;
}

/// Every tensor of the state by its rank among the sorted names, in torchvision's layout. `gain`:
/// of the convolutions' weights.
inline void fill(ResNet& network, float gain = 1) {
  TensorFile state = pytorch_state(network);
  std::ranges::sort(state.tensors, {}, [](const auto& item) { return item.first; });
  std::uint64_t stream = 0;
  for (auto& [name, tensor] : state.tensors) {
    ++stream;
    if (name.ends_with("num_batches_tracked")) continue;
    std::vector<float> values = uniform(stream, tensor.numel());
    const double bound =
        (tensor.rank() == 4 ? gain : 1.0F) *
        std::sqrt(3.0 * static_cast<double>(tensor.dim(0)) / static_cast<double>(tensor.numel()));
    for (float& value : values) {
      if (name.ends_with("running_var") || (name.ends_with("weight") && tensor.rank() == 1)) {
        value = 1.0F + value / 4;
      } else {
        value = tensor.rank() > 1 ? value * static_cast<float>(bound) : value / 4;
      }
    }
    tensor = Tensor::from(values, tensor.shape());
  }
  load_pytorch_state(network, state, "test");
}

}  // namespace invp::testing
