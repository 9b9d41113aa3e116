#include "invp/plan/network_size.h"

#include <string>
#include <string_view>

#include "layers/resnet_shapes.h"

namespace invp {
namespace {

std::int64_t halved(std::int64_t side) {
  return (side - 1) / 2 + 1;
}

/// Maps of the stages: pixels per side of stage 1, 2, 3 or 4.
std::int64_t side_of_stage(const NetworkConfig& config, std::int64_t image_size, int stage) {
  std::int64_t side = is_cifar(config.arch) ? image_size : halved(halved(image_size));
  for (int i = 1; i < stage; ++i) side = halved(side);
  return side;
}

/// Pixels per side of the output of a convolution, by its name: "layer2.0.conv1.weight".
std::int64_t side_after(const std::string& name, const NetworkConfig& config,
                        std::int64_t image_size) {
  if (name == "conv1.weight") return is_cifar(config.arch) ? image_size : halved(image_size);
  const int stage = name[std::string_view("layer").size()] - '0';
  // The stride of a stage is in the 3x3 convolution of its first block: what stands before it
  // still has the map of the stage above.
  const bool before_stride = has_bottlenecks(config.arch) && stage > 1 &&
                             name.substr(std::string_view("layer1").size()) == ".0.conv1.weight";
  return side_of_stage(config, image_size, before_stride ? stage - 1 : stage);
}

double elements(const NamedShape& shape) {
  double count = 1;
  for (const std::int64_t extent : shape.extents) count *= static_cast<double>(extent);
  return count;
}

}  // namespace

NetworkSize size_of(const NetworkConfig& config, std::int64_t image_size) {
  NetworkSize size;
  const auto squared = [](std::int64_t side) { return static_cast<double>(side * side); };
  size.kept_elements = 3 * squared(image_size);
  for (const NamedShape& shape : backbone_shapes(config)) {
    if (shape.name.find("running_") != std::string::npos) continue;
    size.parameters += static_cast<std::int64_t>(elements(shape));
    if (shape.extents.size() != 4) continue;
    ++size.convolutions;
    const double pixels = squared(side_after(shape.name, config, image_size));
    size.forward_flops += 2 * pixels * elements(shape);
    const double output = pixels * static_cast<double>(shape.extents[0]);
    // Norm and ReLU put out what the next layer reads again. What a shortcut puts out is added, and
    // what the pool reads is not needed again.
    const bool read_once = shape.name.find("downsample") != std::string::npos ||
                           (shape.name == "conv1.weight" && !is_cifar(config.arch));
    size.kept_elements += read_once ? output : 2 * output;
  }
  if (!is_cifar(config.arch))
    size.kept_elements += squared(side_of_stage(config, image_size, 1)) * config.width;
  for (const NamedShape& shape : head_shapes(config)) {
    size.parameters += static_cast<std::int64_t>(elements(shape));
    if (shape.extents.size() == 2) size.forward_flops += 2 * elements(shape);
  }
  return size;
}

}  // namespace invp
