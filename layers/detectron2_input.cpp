#include "layers/detectron2_input.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "engine/core/text.h"

namespace invp {
namespace {

constexpr std::string_view kWayOut =
    "; take weights for RGB: MoCo's, InvP's or torchvision's, or what detectron2's converter made "
    "of them";

struct Pixels {
  std::string_view name;
  std::array<float, 3> wanted;  ///< of values from 0 to 255, in RGB
};
constexpr Pixels kPixels[] = {{"pixel_mean", {123.675F, 116.28F, 103.53F}},
                              {"pixel_std", {58.395F, 57.12F, 57.375F}}};
constexpr float kFar = 0.5F;  // Caffe2's mean, 103.53 first, is 20 away

/// What stands before the parts of the detector that the network belongs to.
std::string prefix_of_detector(const FoundNetwork& network) {
  if (network.naming == Naming::kDetectron2Detector) return network.prefix;
  constexpr std::string_view kBackbone = ".backbone.";
  const std::size_t at = ('.' + network.prefix).rfind(kBackbone);
  return at == std::string::npos ? network.prefix : network.prefix.substr(0, at);
}

/// "123.675, 116.28, 103.53"
std::string three(std::span<const float> values) {
  std::string text;
  for (const float value : values.first(std::min<std::size_t>(values.size(), 3)))
    text += message(text.empty() ? "" : ", ", value);
  return text;
}

void check_pixels(const TensorSource& source, const std::string& prefix) {
  for (const Pixels& pixels : kPixels) {
    const std::string name = prefix + std::string(pixels.name);
    const auto found = std::ranges::find(source.tensors(), name, &StoredTensor::name);
    if (found == source.tensors().end() || !is_real(found->type)) continue;
    const Tensor tensor =
        source.real_tensor(static_cast<std::size_t>(found - source.tensors().begin()));
    const auto values = tensor.span<float>();
    const bool same = std::ranges::equal(values, pixels.wanted,
                                         [](float a, float b) { return std::abs(a - b) < kFar; });
    if (same) continue;
    fail(source.path(), ": \"", name, "\" is ", three(values), ", not ", three(pixels.wanted),
         ": the network wants other pictures (Caffe2's: BGR, mean only) than it is shown here",
         kWayOut);
  }
}

/// detectron2 gives norms that have a scale and a shift only the mean 0.
bool lacks_statistics(const TensorSource& source, const FoundNetwork& network) {
  const auto counted = [](const auto& tensor) {
    return tensor.first.ends_with("num_batches_tracked");
  };
  if (std::ranges::any_of(network.tensors, counted)) return false;
  return std::ranges::all_of(network.tensors, [&](const auto& tensor) {
    if (!tensor.first.ends_with("running_mean")) return true;
    const Tensor mean = source.real_tensor(tensor.second);
    return std::ranges::all_of(mean.span<float>(), [](float value) { return value == 0; });
  });
}

}  // namespace

void refuse_caffe2(const TensorSource& source) {
  constexpr std::string_view kTheirs = "res2_0_branch2a_w";
  const auto found = std::ranges::find_if(source.tensors(), [&](const StoredTensor& tensor) {
    return tensor.name == kTheirs || tensor.name.ends_with('.' + std::string(kTheirs));
  });
  if (found == source.tensors().end()) return;
  fail(source.path(), ": a network of Caffe2 (\"", found->name,
       "\"): it wants pictures in BGR without division by a deviation, has its stride in the 1x1 "
       "convolutions and norms without statistics, none of which is built here",
       kWayOut);
}

void check_input(const TensorSource& source, const FoundNetwork& network) {
  if (network.naming != Naming::kDetectron2 && network.naming != Naming::kDetectron2Detector)
    return;
  check_pixels(source, prefix_of_detector(network));
  CHECK(!lacks_statistics(source, network), source.path(),
        ": the norms of the network have no statistics (running_mean is 0 everywhere), as where "
        "detectron2 took them from Caffe2: it wants pictures in BGR without division by a "
        "deviation",
        kWayOut);
}

}  // namespace invp
