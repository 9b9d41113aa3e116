// Operations on one RGB image. Results are those of Pillow and torchvision to the bit.
// Notation: clip is to 0..255; trunc is toward zero; f32 and f64 say in which precision a value is
// rounded. No operation uses a fused multiply-add. Arguments out of range throw Error.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "data/images/image.h"

namespace invp {

// Geometry.

/// The pixels inside `box`, which must lie in the image.
Image crop(ImageView image, const Box& box);

/// Mirrors left and right.
Image hflip(ImageView image);

/// Antialiased bilinear, first along rows, then along columns, rounded to 8 bits in between. An
/// axis that keeps its size is not filtered. An output at c = (x + 0.5) * scale, scale = in / out,
/// weighs the inputs k of [c - f, c + f], f = max(scale, 1), by 1 - |k + 0.5 - c| / f, normalised
/// to sum 1 and rounded to 22 fractional bits.
Image resize(ImageView image, int width, int height);

/// {width, height} after the shorter side became `size`: the longer is trunc(size * longer /
/// shorter).
std::pair<int, int> shorter_side_size(int width, int height, int size);
Image resize_shorter(ImageView image, int size);

/// Where the box begins if the margin is odd: torchvision rounds the half pixel to the even number;
/// a version of mid-2020 rounded it up.
enum class CenterRule { kHalfToEven, kHalfUp };
Box center_box(int width, int height, int box_width, int box_height,
               CenterRule rule = CenterRule::kHalfToEven);
Image center_crop(ImageView image, int size, CenterRule rule = CenterRule::kHalfToEven);

/// Top left, top right, bottom left, bottom right, centre.
std::array<Box, 5> five_boxes(int width, int height, int size);
std::array<Image, 5> five_crop(ImageView image, int size);
/// five_crop, then five_crop of the mirrored image.
std::vector<Image> ten_crop(ImageView image, int size);

// Color, in place. A blend of the image I with D is, per byte, D + f32(factor) * (I - D) in f32,
// clipped and truncated. Factor 1 gives I, 0 gives D. Factors must not be negative.

/// D = 0.
void adjust_brightness(Image& image, double factor);
/// D = trunc(mean luma + 0.5), of the whole image.
void adjust_contrast(Image& image, double factor);
/// D = luma of the pixel.
void adjust_saturation(Image& image, double factor);
/// Through 8-bit HSV, hue + trunc(factor * 255) modulo 256; factor in [-0.5, 0.5].
void adjust_hue(Image& image, double factor);
/// R = G = B = luma = (19595 R + 38470 G + 7471 B + 32768) >> 16.
void grayscale(Image& image);

/// Three box blurs along rows, three along columns, of the radius that gives the standard deviation
/// `sigma` (pixels); edges repeat.
void gaussian_blur(Image& image, double sigma);

// To the network's input.

/// x -> (x - mean) / std per channel, of values scaled to [0, 1].
struct Normalization {
  std::array<float, 3> mean{}, std{1, 1, 1};
  bool operator==(const Normalization&) const = default;
};
inline constexpr Normalization kImagenetNormalization{{0.485f, 0.456f, 0.406f},
                                                      {0.229f, 0.224f, 0.225f}};
inline constexpr Normalization kCifarNormalization{{0.4914f, 0.4822f, 0.4465f},
                                                   {0.2023f, 0.1994f, 0.2010f}};

/// x -> (x - mean) / std per channel, of bytes, as detectors state it.
struct ByteNormalization {
  std::array<float, 3> mean{}, std{1, 1, 1};
};
/// ImageNet's again, as detection's files give it. Its f32 quotients are not those of
/// kImagenetNormalization.
inline constexpr ByteNormalization kDetectionNormalization{{123.675f, 116.280f, 103.530f},
                                                           {58.395f, 57.120f, 57.375f}};

/// "as cifar", "as imagenet", or "by 0.5,0.5,0.5 and 0.2,0.2,0.2": mean and deviation, exactly.
std::string described(const Normalization& normalization);

/// (f32(v) / 255 - mean) / std, or (f32(v) - mean) / std, in f32 for the 256 values of each
/// channel.
class NormalizationTable {
 public:
  explicit NormalizationTable(const Normalization& normalization);
  explicit NormalizationTable(const ByteNormalization& normalization);
  const float* channel(int c) const { return values_[static_cast<std::size_t>(c)].data(); }

 private:
  std::array<std::array<float, 256>, 3> values_;
};

/// Writes height x width x 3 floats, mirrored if `flip`.
void to_tensor(ImageView image, const NormalizationTable& table, bool flip, float* out);

}  // namespace invp
