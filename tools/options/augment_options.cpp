#include "tools/options/augment_options.h"

#include <algorithm>
#include <map>

#include "engine/core/error.h"

namespace invp::cli {

namespace {

constexpr const char* kNamed = "that of --augment";

/// Of photographs: 256 for a crop of 224, other crops in proportion.
int shorter_side(int image_size) {
  return (image_size * 256 + 112) / 224;
}

std::vector<double> pair_of(Range range) {
  return {range.low, range.high};
}

std::array<float, 3> to_floats(const std::vector<double>& values) {
  std::array<float, 3> floats{};
  std::ranges::transform(values, floats.begin(), [](double x) { return static_cast<float>(x); });
  return floats;
}

/// In the fewest digits that read back as the same float.
std::vector<double> from_floats(const std::array<float, 3>& floats) {
  std::vector<double> values;
  for (const float x : floats) values.push_back(parse_number(format_number(x)));
  return values;
}

/// What --help says of the named settings.
std::string note_on(const std::string& name) {
  static const std::map<std::string, std::string> notes = {
      {"auto",
       "by the protocol and the data set; size and normalization those of the checkpoint's run"},
      {"imagenet", "crop, mirror, jitter, gray, blur; 224 px"},
      {"imagenet-noblur", "as the released code without its --blur; 224 px"},
      {"cifar", "crop, jitter, gray; 32 px"},
      {"train-224", "crop, mirror; 224 px"},
      {"finetune-224", "shorter side to 256, part of 224 px, mirror"},
      {"finetune-cars", "crop of at least a fifth, mirror; 224 px"},
      {"linear-cifar", "mirror; 32 px"},
      {"linear-svhn", "jitter, gray; 32 px"},
      {"none", "the central part, nothing varied; 224 px"}};
  return notes.at(name);
}

std::vector<std::string> notes_on(const std::vector<std::string>& names) {
  std::vector<std::string> notes;
  for (const std::string& name : names) notes.push_back(note_on(name));
  return notes;
}

}  // namespace

void AugmentOptions::declare(Options& options) {
  options.group("Augmentation", Decides::kWeights);
  options
      .choice(
          "augment", preset_, presets_,
          "how training varies the images; the options under Augmentation change one setting each")
      .notes(notes_on(presets_))
      .common();
  options
      .integer("image-size", image_size_, {8, 4096},
               "height and width of the network's input, in pixels")
      .shown_default(kNamed)
      .common();
  declare_geometry(options);
  declare_color(options);
  options.flag("dct-scaling", dct_scaling_,
               "decode large JPEGs at 1/2, 1/4 or 1/8 of their size: faster, but other pixels");
}

void AugmentOptions::declare_geometry(Options& options) {
  options
      .choice<Framing>("framing", framing_,
                       {{"random-resized-crop", Framing::kRandomResizedCrop},
                        {"random-crop", Framing::kRandomCrop},
                        {"center-crop", Framing::kCenterCrop}},
                       "which part of an image is taken")
      .notes({"of random size and shape, resized to --image-size",
              "of --image-size, at a random place", "of --image-size, in the middle"})
      .shown_default(kNamed);
  options
      .integer("resize-shorter", resize_shorter_, {0, 65536},
               "pixels to which the shorter side is resized before a random-crop or center-crop; "
               "0: --image-size")
      .shown_default(kNamed);
  options
      .numbers("crop-scale", crop_scale_, 2, {0, 1, true},
               "area of a random-resized-crop: smallest and largest share of the image")
      .shown_default(kNamed);
  options
      .numbers("crop-ratio", crop_ratio_, 2, {0, 1000, true},
               "its width divided by its height: smallest and largest")
      .shown_default(kNamed);
  options.number("flip-prob", flip_prob_, kProbability, "share of images that are mirrored")
      .shown_default(kNamed);
}

void AugmentOptions::declare_color(Options& options) {
  options
      .numbers("jitter", jitter_, 4, {0, 1000},
               "strength of the jitter of brightness, contrast, saturation, hue")
      .shown_default(kNamed);
  options.number("jitter-prob", jitter_prob_, kProbability, "share of images that are jittered")
      .shown_default(kNamed);
  options.number("gray-prob", gray_prob_, kProbability, "share of images that turn gray")
      .shown_default(kNamed);
  options
      .flag("gray-before-jitter", gray_before_jitter_,
            "images turn gray before the jitter, not after it")
      .shown_default(kNamed);
  options.number("blur-prob", blur_prob_, kProbability, "share of images that are blurred")
      .shown_default(kNamed);
  options
      .numbers("blur-sigma", blur_sigma_, 2, {0, 1000},
               "standard deviation of the blur in pixels: smallest and largest")
      .shown_default(kNamed);
  options
      .numbers("normalize-mean", mean_, 3, {0, 1},
               "subtracted from red, green and blue, which range from 0 to 1")
      .shown_default(kNamed);
  options
      .numbers("normalize-std", std_, 3, {0, 1000, true},
               "red, green and blue are then divided by this")
      .shown_default(kNamed);
}

AugmentConfig AugmentOptions::resolve(const Options& options) {
  return resolve(options, augment_preset(preset_));
}

AugmentConfig AugmentOptions::resolve(const Options& options, AugmentConfig config) {
  if (options.given("image-size")) config = resized(config, image_size_);
  if (options.given("framing")) config.framing = framing_;
  if (options.given("resize-shorter")) config.resize_shorter = resize_shorter_;
  if (options.given("crop-scale")) config.crop_scale = {crop_scale_[0], crop_scale_[1]};
  if (options.given("crop-ratio")) config.crop_ratio = {crop_ratio_[0], crop_ratio_[1]};
  if (options.given("jitter")) config.jitter = {jitter_[0], jitter_[1], jitter_[2], jitter_[3]};
  // A strength alone switches the jitter on.
  if (options.given("jitter") && config.jitter_prob == 0) config.jitter_prob = 1;
  if (options.given("jitter-prob")) config.jitter_prob = jitter_prob_;
  if (options.given("gray-prob")) config.gray_prob = gray_prob_;
  if (options.given("gray-before-jitter")) config.gray_before_jitter = gray_before_jitter_;
  if (options.given("blur-prob")) config.blur_prob = blur_prob_;
  if (options.given("blur-sigma")) config.blur_sigma = {blur_sigma_[0], blur_sigma_[1]};
  if (options.given("flip-prob")) config.flip_prob = flip_prob_;
  if (options.given("normalize-mean")) config.normalization.mean = to_floats(mean_);
  if (options.given("normalize-std")) config.normalization.std = to_floats(std_);
  config.dct_scaling = dct_scaling_;
  try {
    check_augment(config);
  } catch (const Error& error) {
    throw UsageError(error.what());
  }

  hold(config);
  return config;
}

void AugmentOptions::hold(const AugmentConfig& config) {
  image_size_ = config.image_size;
  framing_ = config.framing;
  resize_shorter_ = config.resize_shorter;
  crop_scale_ = pair_of(config.crop_scale);
  crop_ratio_ = pair_of(config.crop_ratio);
  jitter_.assign(config.jitter.begin(), config.jitter.end());
  jitter_prob_ = config.jitter_prob;
  gray_prob_ = config.gray_prob;
  gray_before_jitter_ = config.gray_before_jitter;
  blur_prob_ = config.blur_prob;
  blur_sigma_ = pair_of(config.blur_sigma);
  flip_prob_ = config.flip_prob;
  mean_ = from_floats(config.normalization.mean);
  std_ = from_floats(config.normalization.std);
}

AugmentConfig AugmentOptions::resized(AugmentConfig config, int image_size) {
  config.image_size = image_size;
  if (config.resize_shorter > 0) config.resize_shorter = shorter_side(image_size);
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
