#include "layers/detection/memory.h"

namespace invp {

namespace {

/// Floats that a stage keeps, per channel of its bottlenecks and position of its output: the three
/// convolutions' results and the sum; the shortcut's of the first block, and its first convolution
/// where the stride has not come yet. What relu makes of a norm is computed again.
std::int64_t stage_floats(std::int64_t blocks, int stride) {
  constexpr std::int64_t kBlock = 1 + 1 + 4 + 4;
  constexpr std::int64_t kShortcut = 4;
  return blocks * kBlock + kShortcut + (stride * stride - 1);
}

std::int64_t weights(const DetectorConfig& config) {
  // A ResNet-50's trunk, the proposals' 3x3 convolution and the rest, per width squared.
  constexpr double kTrunk = 23.5e6 / (64.0 * 64.0);
  constexpr double kProposals = 9.0 * 16 * 16;
  const double width = config.width;
  return static_cast<std::int64_t>((kTrunk + kProposals) * width * width +
                                   32.0 * width * (5.0 * config.classes + 1));
}

}  // namespace

std::int64_t training_bytes(const DetectorConfig& config, std::int64_t height, std::int64_t width,
                            std::int64_t pictures) {
  const std::int64_t w = config.width;
  const std::int64_t positions = (height + 3) / 4 * ((width + 3) / 4);  // of res2
  const std::int64_t trunk = 4 * positions * w + stage_floats(3, 1) * w * positions +
                             stage_floats(4, 2) * 2 * w * positions / 4 +
                             stage_floats(6, 2) * 4 * w * positions / 16;
  const std::int64_t bins = static_cast<std::int64_t>(config.regions.bins) * config.regions.bins;
  const std::int64_t cells = bins / 4;
  const std::int64_t c = 8 * w;
  // The first block's pooled maps, the middle block's sum (or all of it), the last block.
  const std::int64_t middle = config.regions.recompute ? 4 : 10;
  const std::int64_t region = c * (bins + (1 + 4 + 4 + 4) * cells + middle * cells + 10 * cells);
  const std::int64_t under_way = c * 4 * cells * 3 / 2;
  constexpr std::int64_t kOfWeight = 3;  // itself, momentum, gradient
  return 4 * (kOfWeight * weights(config) + pictures * trunk +
              pictures * config.regions.samples * (region + under_way));
}

}  // namespace invp
