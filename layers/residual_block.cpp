#include "layers/residual_block.h"

namespace invp {

namespace {

/// The 1x1 convolution of a shortcut whose output has another shape than its input; else null.
std::unique_ptr<ConvNorm> make_shortcut(std::int64_t in, std::int64_t out, int stride,
                                        Initializer& init) {
  if (stride == 1 && in == out) return nullptr;
  return std::make_unique<ConvNorm>(
      "downsample.0", "downsample.1",
      Conv2dConfig{.in = in, .out = out, .kernel = 1, .params = {.stride = stride}}, init);
}

}  // namespace

BasicBlock::BasicBlock(std::int64_t in, std::int64_t width, int stride, Initializer& init)
    : first_("conv1", "bn1",
             {.in = in, .out = width, .kernel = 3, .params = {.stride = stride, .padding = 1}},
             init),
      second_("conv2", "bn2", {.in = width, .out = width, .kernel = 3, .params = {.padding = 1}},
              init),
      shortcut_(make_shortcut(in, width, stride, init)) {
  add_part(first_);
  add_part(second_);
  if (shortcut_) add_part(*shortcut_);
}

Bottleneck::Bottleneck(std::int64_t in, std::int64_t width, int stride, Initializer& init)
    : first_("conv1", "bn1", {.in = in, .out = width, .kernel = 1}, init),
      second_("conv2", "bn2",
              {.in = width, .out = width, .kernel = 3, .params = {.stride = stride, .padding = 1}},
              init),
      third_("conv3", "bn3", {.in = width, .out = width * kExpansion, .kernel = 1}, init),
      shortcut_(make_shortcut(in, width * kExpansion, stride, init)) {
  add_part(first_);
  add_part(second_);
  add_part(third_);
  if (shortcut_) add_part(*shortcut_);
}

}  // namespace invp
