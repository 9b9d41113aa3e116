#include "tools/options/augment_options.h"

#include "engine/core/error.h"

namespace invp::cli {

namespace {

constexpr const char* kPresets = "the preset's";

/// Photographs: the shorter side to 256 for a crop of 224, and so in proportion.
int shorter_side(int image_size) {
  return (image_size * 256 + 112) / 224;
}

std::vector<double> pair_of(Range range) {
  return {range.low, range.high};
}

}  // namespace

void AugmentOptions::declare(Options& options) {
  options.group("Augmentation");
  options.choice("augment", preset_, presets_, "named settings");
  options.integer("image-size", image_size_, {8, 4096}, "pixels a side of what the network sees")
      .shown_default(kPresets);
  options
      .numbers("crop-scale", crop_scale_, 2, {0, 1, true}, "share of the area a random crop takes")
      .shown_default(kPresets);
  options.numbers("crop-ratio", crop_ratio_, 2, {0, 1000, true}, "its width over its height")
      .shown_default(kPresets);
  options
      .numbers("jitter", jitter_, 4, {0, 1000}, "strength of brightness, contrast, saturation, hue")
      .shown_default(kPresets);
  options.number("jitter-prob", jitter_prob_, kProbability, "share of images that are jittered")
      .shown_default(kPresets);
  options.number("gray-prob", gray_prob_, kProbability, "share that turns gray")
      .shown_default(kPresets);
  options.number("blur-prob", blur_prob_, kProbability, "share that is blurred")
      .shown_default(kPresets);
  options
      .numbers("blur-sigma", blur_sigma_, 2, {0, 1000}, "range of the blur's deviation, in pixels")
      .shown_default(kPresets);
  options.number("flip-prob", flip_prob_, kProbability, "share that is mirrored")
      .shown_default(kPresets);
  options.flag("dct-scaling", dct_scaling_,
               "decode large JPEGs at a fraction of their size: faster, other pixels");
}

AugmentConfig AugmentOptions::resolve(const Options& options) {
  return resolve(options, augment_preset(preset_));
}

AugmentConfig AugmentOptions::resolve(const Options& options, AugmentConfig config) {
  if (options.given("image-size")) {
    config.image_size = image_size_;
    if (config.resize_shorter > 0) config.resize_shorter = shorter_side(image_size_);
  }
  if (options.given("crop-scale")) config.crop_scale = {crop_scale_[0], crop_scale_[1]};
  if (options.given("crop-ratio")) config.crop_ratio = {crop_ratio_[0], crop_ratio_[1]};
  if (options.given("jitter")) config.jitter = {jitter_[0], jitter_[1], jitter_[2], jitter_[3]};
  // Asking for a strength asks for the jitter.
  if (options.given("jitter") && config.jitter_prob == 0) config.jitter_prob = 1;
  if (options.given("jitter-prob")) config.jitter_prob = jitter_prob_;
  if (options.given("gray-prob")) config.gray_prob = gray_prob_;
  if (options.given("blur-prob")) config.blur_prob = blur_prob_;
  if (options.given("blur-sigma")) config.blur_sigma = {blur_sigma_[0], blur_sigma_[1]};
  if (options.given("flip-prob")) config.flip_prob = flip_prob_;
  config.dct_scaling = dct_scaling_;
  try {
    check_augment(config);
  } catch (const Error& error) {
    throw UsageError(error.what());
  }

  image_size_ = config.image_size;
  crop_scale_ = pair_of(config.crop_scale);
  crop_ratio_ = pair_of(config.crop_ratio);
  jitter_.assign(config.jitter.begin(), config.jitter.end());
  jitter_prob_ = config.jitter_prob;
  gray_prob_ = config.gray_prob;
  blur_prob_ = config.blur_prob;
  blur_sigma_ = pair_of(config.blur_sigma);
  flip_prob_ = config.flip_prob;
  return config;
}

AugmentConfig AugmentOptions::evaluation(const AugmentConfig& training) {
  AugmentConfig config;
  config.image_size = training.image_size;
  config.normalization = training.normalization;
  // Small pictures are taken whole, unless training cut them out of larger ones.
  if (training.image_size >= 96) config.resize_shorter = shorter_side(training.image_size);
  if (training.resize_shorter > 0) config.resize_shorter = training.resize_shorter;
  return config;
}

}  // namespace invp::cli
