#include "tools/bench/resnet_layers.h"

#include <array>

namespace invp::cli {

namespace {

class Collector {
 public:
  /// Adds a layer and returns the size of its output.
  std::int64_t add(std::int64_t size, std::int64_t in, std::int64_t out, int kernel, int stride) {
    for (ConvLayer& layer : layers) {
      if (layer.size == size && layer.in == in && layer.out == out && layer.kernel == kernel &&
          layer.stride == stride) {
        ++layer.count;
        return (size - 1) / stride + 1;
      }
    }
    layers.push_back({size, in, out, kernel, stride, 1});
    return (size - 1) / stride + 1;
  }
  std::vector<ConvLayer> layers;
};

}  // namespace

std::vector<ConvLayer> conv_layers(const NetworkConfig& network, std::int64_t image_size) {
  const bool cifar = network.arch == Arch::kResNet18Cifar || network.arch == Arch::kResNet50Cifar;
  const bool bottleneck = network.arch == Arch::kResNet50 || network.arch == Arch::kResNet50Cifar;
  const bool deep = bottleneck || network.arch == Arch::kResNet34;
  const std::array<int, 4> blocks = deep ? std::array{3, 4, 6, 3} : std::array{2, 2, 2, 2};

  Collector collector;
  std::int64_t channels = network.width;
  std::int64_t size = cifar ? collector.add(image_size, 3, channels, 3, 1)
                            : collector.add(image_size, 3, channels, 7, 2);
  if (!cifar) size = (size - 1) / 2 + 1;  // max pool
  for (int stage = 0; stage < 4; ++stage) {
    const std::int64_t inner = static_cast<std::int64_t>(network.width) << stage;
    const std::int64_t outer = bottleneck ? 4 * inner : inner;
    for (int block = 0; block < blocks[static_cast<std::size_t>(stage)]; ++block) {
      const int stride = stage > 0 && block == 0 ? 2 : 1;
      std::int64_t after = size;
      if (bottleneck) {
        collector.add(size, channels, inner, 1, 1);
        after = collector.add(size, inner, inner, 3, stride);
        collector.add(after, inner, outer, 1, 1);
      } else {
        after = collector.add(size, channels, inner, 3, stride);
        collector.add(after, inner, inner, 3, 1);
      }
      if (stride != 1 || channels != outer) collector.add(size, channels, outer, 1, stride);
      channels = outer;
      size = after;
    }
  }
  return std::move(collector.layers);
}

}  // namespace invp::cli
