// The named pipelines and the ranges of the settings.
#include <array>
#include <tuple>

#include "data/images/augment.h"
#include "engine/core/error.h"
#include "engine/core/text.h"

namespace invp {
namespace {

struct Preset {
  std::string_view name;
  AugmentConfig config;
};

constexpr double kHalf = 0.5;  // probability

const std::array<Preset, 13> kPresets{{
    {"imagenet",
     {.framing = Framing::kRandomResizedCrop,
      .jitter = {0.4, 0.4, 0.4, 0.1},
      .jitter_prob = 0.8,
      .gray_prob = 0.2,
      .blur_prob = kHalf,
      .flip_prob = kHalf}},
    // As the released code does without --blur.
    {"imagenet-noblur",
     {.framing = Framing::kRandomResizedCrop,
      .jitter = {0.4, 0.4, 0.4, 0.4},
      .jitter_prob = 1,
      .gray_prob = 0.2,
      .gray_before_jitter = true,
      .flip_prob = kHalf}},
    // CIFAR-10, CIFAR-100, SVHN: no mirroring.
    {"cifar",
     {.image_size = 32,
      .framing = Framing::kRandomResizedCrop,
      .jitter = {0.4, 0.4, 0.4, 0.4},
      .jitter_prob = 1,
      .gray_prob = 0.2,
      .normalization = kCifarNormalization}},
    {"none", {}},
    {"eval-224", {.resize_shorter = 256}},
    {"eval-cifar", {.image_size = 32, .normalization = kCifarNormalization}},
    {"train-224",
     {.framing = Framing::kRandomResizedCrop, .crop_scale = {0.08, 1.0}, .flip_prob = kHalf}},
    // The released code's second script for linear classifiers.
    {"linear-cj",
     {.framing = Framing::kRandomResizedCrop,
      .crop_scale = {0.08, 1.0},
      .jitter = {0.4, 0.4, 0.4, 0.4},
      .jitter_prob = 1,
      .gray_prob = 0.2,
      .gray_before_jitter = true,
      .flip_prob = kHalf}},
    {"linear-cifar", {.image_size = 32, .flip_prob = kHalf, .normalization = kCifarNormalization}},
    {"linear-svhn",
     {.image_size = 32,
      .jitter = {0.4, 0.4, 0.4, 0.4},
      .jitter_prob = 1,
      .gray_prob = 0.2,
      .normalization = kCifarNormalization}},
    {"voc-train", {.framing = Framing::kRandomResizedCrop, .flip_prob = kHalf}},
    {"finetune-224", {.framing = Framing::kRandomCrop, .resize_shorter = 256, .flip_prob = kHalf}},
    {"finetune-cars", {.framing = Framing::kRandomResizedCrop, .flip_prob = kHalf}},
}};

void check_range(const char* name, const Range& range, double low, double high, bool open) {
  const bool inside = (open ? range.low > low : range.low >= low) && range.high <= high;
  CHECK(inside && range.low <= range.high, "[augment] ", name, " is two rising numbers ",
        open ? "above " : "from ", low, " to ", high, ", got ", range.low, ",", range.high);
}

}  // namespace

std::span<const std::string_view> augment_presets() {
  static const auto names = [] {
    std::array<std::string_view, std::tuple_size_v<std::decay_t<decltype(kPresets)>>> all;
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = kPresets[i].name;
    return all;
  }();
  return names;
}

AugmentConfig augment_preset(std::string_view name) {
  for (const Preset& preset : kPresets) {
    if (preset.name == name) return preset.config;
  }
  const std::vector<std::string> names(augment_presets().begin(), augment_presets().end());
  fail("[augment] no pipeline is named '", name, "': did you mean '", nearest(name, names),
       "'? There are ", joined(names));
}

void check_augment(const AugmentConfig& config) {
  CHECK(config.image_size > 0 && config.image_size <= 65536,
        "[augment] the image size is 1 to 65536 pixels, got ", config.image_size);
  CHECK(config.resize_shorter == 0 || config.resize_shorter >= config.image_size,
        "[augment] the shorter side (", config.resize_shorter, ") cannot be below the image size (",
        config.image_size, ")");
  check_range("the crop scale", config.crop_scale, 0, 1, true);
  check_range("the crop ratio", config.crop_ratio, 0, 1000, true);
  check_range("the blur sigma", config.blur_sigma, 0, 1000, false);
  for (std::size_t i = 0; i < 4; ++i) {
    const double most = i == 3 ? 0.5 : 1000;
    CHECK(config.jitter[i] >= 0 && config.jitter[i] <= most, "[augment] jitter of ",
          i == 3 ? "hue" : "brightness, contrast, saturation", " is 0 to ", most, ", got ",
          config.jitter[i]);
  }
  const std::pair<const char*, double> chances[] = {{"jitter", config.jitter_prob},
                                                    {"gray", config.gray_prob},
                                                    {"blur", config.blur_prob},
                                                    {"flip", config.flip_prob}};
  for (const auto& [name, chance] : chances) {
    CHECK(chance >= 0 && chance <= 1, "[augment] the ", name, " probability is 0 to 1, got ",
          chance);
  }
}

}  // namespace invp
