// Augments decoded pictures into the network's input, all of a batch in one call: crop, resize,
// color, blur, mirroring, normalisation. The arithmetic of each step is that of
// data/images/transform.h, to the bit on any device (pixel_arithmetic.h).
//
//   pixels  u8, pictures of interleaved RGB rows anywhere in it
//   y       (N, S, S, C) f32 or bf16, C = 3, or 8, the last five zero
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"

namespace invp {

enum class ColorOp : std::int32_t { kBrightness, kContrast, kSaturation, kHue, kGrayscale };
struct ColorStep {
  ColorOp op{};
  double factor = 0;  ///< not negative; of hue, in [-0.5, 0.5]; none of grayscale
};

/// What is done to one picture.
struct AugmentRecord {
  // The crop: `height` rows of `width` pixels, the first of them at byte `begin` of the pixels.
  std::int64_t begin = 0;
  std::int64_t row_bytes = 0;  ///< from one row to the next
  int width = 0, height = 0;
  // It is resized, and of that the S x S pixels from (left, top) on are kept.
  int resized_width = 0, resized_height = 0;
  int left = 0, top = 0;
  std::array<ColorStep, 5> color{};  ///< in the order of application
  int color_steps = 0;               ///< how many of these are used
  double blur_sigma = 0;             ///< pixels; 0: none
  bool flip = false;
};

struct AugmentOutput {
  int size = 224;  ///< S
  int channels = 3;
  DType dtype = DType::kF32;
  std::array<float, 3> mean{}, std{1, 1, 1};
};

/// y on the device of the pixels, outside the graph. The records are on the host, one per picture.
/// Throws for records that reach outside of the pixels and for parameters out of range.
Tensor augment_images(const Tensor& pixels, std::span<const AugmentRecord> records,
                      const AugmentOutput& output);

struct AugmentTask;  // augment_picture.h
KERNEL(augment_images, const Tensor& pixels, std::span<const AugmentTask> tasks,
       const AugmentOutput& output, const Tensor& y);

}  // namespace invp
