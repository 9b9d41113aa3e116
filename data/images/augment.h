// From an image to the network's input, in two steps: drawing parameters at random from the
// settings, and applying them. An image's parameters are a pure function of its random stream.
//
// The steps, in this order: framing to image_size x image_size, color jitter, grayscale (or before
// the jitter, by gray_before_jitter), blur, mirroring, normalisation. Distributions are
// torchvision's.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/images/decode.h"
#include "data/images/image.h"
#include "data/images/planes.h"
#include "data/images/transform.h"
#include "engine/core/random.h"
#include "engine/ops/image/augment_images.h"

namespace invp {

enum class Framing {
  kRandomResizedCrop,  // a random part of random shape, resized
  kRandomCrop,         // shorter side to resize_shorter, then a random square
  kCenterCrop,         // shorter side to resize_shorter, then the central square
};

struct Range {
  double low = 0, high = 0;
  bool operator==(const Range&) const = default;
};

/// Settings. The default draws nothing at random and cuts the central square.
struct AugmentConfig {
  int image_size = 224;
  Framing framing = Framing::kCenterCrop;
  /// Shorter side before a random or central crop; 0 means image_size.
  int resize_shorter = 0;
  Range crop_scale{0.2, 1.0};              // share of the area
  Range crop_ratio{3.0 / 4.0, 4.0 / 3.0};  // width / height, uniform in the logarithm
  /// Brightness, contrast, saturation: factor in [max(0, 1 - v), 1 + v); hue: in [-v, v). 0 =
  /// absent.
  std::array<double, 4> jitter{};
  double jitter_prob = 0;
  double gray_prob = 0;
  bool gray_before_jitter = false;
  double blur_prob = 0;
  Range blur_sigma{0.1, 2.0};  // pixels
  double flip_prob = 0;
  Normalization normalization = kImagenetNormalization;
  /// Decodes a JPEG at the smallest of 1/1, 1/2, 1/4, 1/8 of its size at which both sides of the
  /// crop have at least image_size pixels. Faster for large photos; the pixels differ.
  bool dct_scaling = false;

  bool operator==(const AugmentConfig&) const = default;
};

/// Named settings: imagenet, imagenet-noblur, cifar, none for pretraining; eval-224, eval-cifar,
/// train-224, linear-cj, linear-cifar, linear-svhn, voc-train, finetune-224 and
/// finetune-cars for the protocols. Throws for another name, with the nearest.
AugmentConfig augment_preset(std::string_view name);
/// The names augment_preset knows.
std::span<const std::string_view> augment_presets();

/// Throws invp::Error naming the setting that is out of its range.
void check_augment(const AugmentConfig& config);

enum class JitterOp : std::uint8_t { kBrightness, kContrast, kSaturation, kHue };
struct JitterStep {
  JitterOp op{};
  double factor = 0;
  bool operator==(const JitterStep&) const = default;
};

/// What was drawn for one image.
struct AugmentParameters {
  Box crop;       // of the image, cut first
  int width = 0;  // to which the crop is resized
  int height = 0;
  Box window;  // of the resized crop: what is kept
  std::array<JitterStep, 4> jitter{};
  int jitter_steps = 0;  // how many of `jitter` are applied, in order
  bool gray = false;
  bool gray_before_jitter = false;
  double blur_sigma = 0;  // 0: no blur
  bool flip = false;
  bool operator==(const AugmentParameters&) const = default;
};

/// Draws, in this order: crop, jitter or not, its factors and order, grayscale, blur, mirroring.
AugmentParameters draw_parameters(const AugmentConfig& config, int width, int height,
                                  Random& random);

/// The parameters for augment_images. The place of the crop's pixels is left to the caller.
AugmentRecord to_record(const AugmentParameters& parameters);
/// Its output: image_size x image_size pixels, 3 channels of f32, with the same normalisation.
AugmentOutput to_output(const AugmentConfig& config);

/// Augments one image after another and reuses its buffers. Each thread needs its own.
class Augmenter {
 public:
  explicit Augmenter(const AugmentConfig& config);

  const AugmentConfig& config() const { return config_; }

  /// The parameters drawn for an image, and the pixels of their crop, valid until the next call.
  struct Crop {
    AugmentParameters parameters;
    ImageView pixels;
  };
  Crop take_crop(ImageView image, Random& random);
  /// The same for the bytes of a file. Only the part that the crop needs is decoded. `name` appears
  /// in errors.
  Crop take_crop(std::span<const std::uint8_t> bytes, const std::string& name, Random& random,
                 const DecodeOptions& options = {});

  /// image_size x image_size x 3 normalised floats to `out`.
  void finish_into(const Crop& crop, float* out);
  void augment_into(ImageView image, Random& random, float* out) {
    finish_into(take_crop(image, random), out);
  }
  void augment_into(std::span<const std::uint8_t> bytes, const std::string& name, Random& random,
                    float* out, const DecodeOptions& options = {}) {
    finish_into(take_crop(bytes, name, random, options), out);
  }

  /// The 8-bit image before normalisation.
  Image apply(ImageView image, const AugmentParameters& parameters);

 private:
  void apply_to_planes(ImageView cropped, const AugmentParameters& parameters);

  AugmentConfig config_;
  NormalizationTable table_;
  Image decoded_;
  Planes planes_;
  ResizeScratch resize_;
  std::vector<std::uint8_t> blur_;
};

}  // namespace invp
