#include "data/images/augment.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "engine/core/error.h"

namespace invp {
namespace {

/// To the nearest integer, halves to even: the default rounding mode.
int round_to_even(double value) {
  return static_cast<int>(std::nearbyint(value));
}

int below(int end, Random& random) {
  return static_cast<int>(random.integer(0, end));
}

/// Ten tries for a random area and shape that fit; then the largest central box of allowed shape.
Box random_part(const AugmentConfig& config, int width, int height, Random& random) {
  constexpr int kTries = 10;
  const double area = static_cast<double>(width) * height;
  const auto [narrowest, widest] = config.crop_ratio;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    const double target = area * random.uniform(config.crop_scale.low, config.crop_scale.high);
    const double ratio = std::exp(random.uniform(std::log(narrowest), std::log(widest)));
    const int w = round_to_even(std::sqrt(target * ratio));
    const int h = round_to_even(std::sqrt(target / ratio));
    if (w > 0 && w <= width && h > 0 && h <= height) {
      const int y = below(height - h, random);
      const int x = below(width - w, random);
      return {x, y, w, h};
    }
  }
  int w = width, h = height;
  const double shape = static_cast<double>(width) / height;
  // At least one pixel and at most the image, which may be 3000 x 1.
  if (shape < narrowest) h = std::clamp(round_to_even(width / narrowest), 1, height);
  if (shape > widest) w = std::clamp(round_to_even(height * widest), 1, width);
  return {(width - w) / 2, (height - h) / 2, w, h};
}

void draw_framing(const AugmentConfig& config, int width, int height, Random& random,
                  AugmentParameters& out) {
  const int size = config.image_size;
  if (config.framing == Framing::kRandomResizedCrop) {
    out.crop = random_part(config, width, height, random);
    out.width = out.height = size;
    out.window = {0, 0, size, size};
    return;
  }
  out.crop = {0, 0, width, height};
  const int shorter = config.resize_shorter == 0 ? size : config.resize_shorter;
  std::tie(out.width, out.height) = shorter_side_size(width, height, shorter);
  if (config.framing == Framing::kCenterCrop) {
    out.window = center_box(out.width, out.height, size, size);
    return;
  }
  out.window = {0, 0, size, size};
  if (out.width == size && out.height == size) return;
  out.window.y = below(out.height - size, random);
  out.window.x = below(out.width - size, random);
}

void draw_jitter(const AugmentConfig& config, Random& random, AugmentParameters& out) {
  for (std::size_t i = 0; i < config.jitter.size(); ++i) {
    const double v = config.jitter[i];
    if (v == 0) continue;
    const auto op = static_cast<JitterOp>(i);
    const double low = op == JitterOp::kHue ? -v : std::max(0.0, 1 - v);
    const double high = op == JitterOp::kHue ? v : 1 + v;
    out.jitter[static_cast<std::size_t>(out.jitter_steps++)] = {op, random.uniform(low, high)};
  }
  random.shuffle(std::span(out.jitter).first(static_cast<std::size_t>(out.jitter_steps)));
}

void apply_jitter(Planes& planes, const JitterStep& step) {
  switch (step.op) {
    case JitterOp::kBrightness: return adjust_brightness(planes, step.factor);
    case JitterOp::kContrast: return adjust_contrast(planes, step.factor);
    case JitterOp::kSaturation: return adjust_saturation(planes, step.factor);
    case JitterOp::kHue: return adjust_hue(planes, step.factor);
  }
}

/// The largest denominator at which both sides of the crop are at least those of its result.
int reduction_for(const Box& crop, int width, int height) {
  int denominator = 1;
  while (denominator < 8 && crop.width >= 2 * denominator * width &&
         crop.height >= 2 * denominator * height) {
    denominator *= 2;
  }
  return denominator;
}

/// The box in an image of width x height that was reduced by `denominator`.
Box reduced(const Box& box, int denominator, int width, int height) {
  const auto part = [denominator](int from, int length, int limit) {
    const double scale = 1.0 / denominator;
    const int first = std::min(round_to_even(from * scale), limit - 1);
    const int last = std::clamp(round_to_even((from + length) * scale), first + 1, limit);
    return std::pair(first, last - first);
  };
  const auto [x, w] = part(box.x, box.width, width);
  const auto [y, h] = part(box.y, box.height, height);
  return {x, y, w, h};
}

}  // namespace

AugmentParameters draw_parameters(const AugmentConfig& config, int width, int height,
                                  Random& random) {
  CHECK(width > 0 && height > 0, "[augment] empty picture");
  AugmentParameters out;
  draw_framing(config, width, height, random, out);
  out.gray_before_jitter = config.gray_before_jitter;
  // Strictly less: a probability of 0 is never drawn, one of 1 always.
  if (random.uniform() < config.jitter_prob) draw_jitter(config, random, out);
  out.gray = random.uniform() < config.gray_prob;
  if (random.uniform() < config.blur_prob) {
    out.blur_sigma = random.uniform(config.blur_sigma.low, config.blur_sigma.high);
  }
  out.flip = random.uniform() < config.flip_prob;
  return out;
}

AugmentRecord to_record(const AugmentParameters& parameters) {
  AugmentRecord record{.resized_width = parameters.width,
                       .resized_height = parameters.height,
                       .left = parameters.window.x,
                       .top = parameters.window.y,
                       .blur_sigma = parameters.blur_sigma,
                       .flip = parameters.flip};
  const auto add = [&](ColorOp op, double factor) {
    record.color[static_cast<std::size_t>(record.color_steps++)] = {op, factor};
  };
  if (parameters.gray && parameters.gray_before_jitter) add(ColorOp::kGrayscale, 0);
  for (int i = 0; i < parameters.jitter_steps; ++i) {
    const JitterStep& step = parameters.jitter[static_cast<std::size_t>(i)];
    switch (step.op) {
      case JitterOp::kBrightness: add(ColorOp::kBrightness, step.factor); break;
      case JitterOp::kContrast: add(ColorOp::kContrast, step.factor); break;
      case JitterOp::kSaturation: add(ColorOp::kSaturation, step.factor); break;
      case JitterOp::kHue: add(ColorOp::kHue, step.factor); break;
    }
  }
  if (parameters.gray && !parameters.gray_before_jitter) add(ColorOp::kGrayscale, 0);
  return record;
}

AugmentOutput to_output(const AugmentConfig& config) {
  return {.size = config.image_size,
          .mean = config.normalization.mean,
          .std = config.normalization.std};
}

Augmenter::Augmenter(const AugmentConfig& config) : config_(config), table_(config.normalization) {
  check_augment(config);
}

void Augmenter::apply_to_planes(ImageView cropped, const AugmentParameters& parameters) {
  resize_window(cropped, parameters.width, parameters.height, parameters.window, planes_, resize_);
  if (parameters.gray && parameters.gray_before_jitter) grayscale(planes_);
  for (int i = 0; i < parameters.jitter_steps; ++i) {
    apply_jitter(planes_, parameters.jitter[static_cast<std::size_t>(i)]);
  }
  if (parameters.gray && !parameters.gray_before_jitter) grayscale(planes_);
  if (parameters.blur_sigma > 0) gaussian_blur(planes_, parameters.blur_sigma, blur_);
}

Augmenter::Crop Augmenter::take_crop(ImageView image, Random& random) {
  const auto parameters = draw_parameters(config_, image.width, image.height, random);
  return {parameters, image.part(parameters.crop)};
}

Augmenter::Crop Augmenter::take_crop(std::span<const std::uint8_t> bytes, const std::string& name,
                                     Random& random, const DecodeOptions& options) {
  if (options.apply_orientation) {
    decoded_ = decode_image(bytes, name, options);
    return take_crop(decoded_, random);
  }
  const ImageInfo info = read_image_info(bytes, name, options);
  const auto parameters = draw_parameters(config_, info.width, info.height, random);
  Box crop = parameters.crop;
  DecodeOptions chosen = options;
  chosen.scale_denominator = 1;
  if (config_.dct_scaling && info.format == ImageFormat::kJpeg) {
    const int denominator = reduction_for(crop, parameters.width, parameters.height);
    chosen.scale_denominator = denominator;
    crop = reduced(crop, denominator, scaled_side(info.width, denominator),
                   scaled_side(info.height, denominator));
  }
  decode_region(bytes, name, crop, decoded_, chosen);
  return {parameters, decoded_};
}

void Augmenter::finish_into(const Crop& crop, float* out) {
  apply_to_planes(crop.pixels, crop.parameters);
  to_tensor(planes_, table_, crop.parameters.flip, out);
}

Image Augmenter::apply(ImageView image, const AugmentParameters& parameters) {
  const Box& box = parameters.crop;
  CHECK(box.x >= 0 && box.y >= 0 && box.width > 0 && box.height > 0 &&
            box.width <= image.width - box.x && box.height <= image.height - box.y,
        "[augment] the parameters were drawn for another size than ", image.width, " x ",
        image.height);
  apply_to_planes(image.part(parameters.crop), parameters);
  Image out;
  to_image(planes_, out);
  return parameters.flip ? hflip(out) : out;
}

}  // namespace invp
