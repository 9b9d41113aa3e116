// Each operation against a slow one, written pixel by pixel from the formulas. The golden files of
// steps_test.cpp hold the same operations against Pillow itself.
#include "data/images/transform.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "engine/core/error.h"
#include "tests/data/golden.h"

namespace invp {
namespace {

using test::noise;
using Pixel = std::array<int, 3>;

Pixel pixel_of(const Image& image, int x, int y) {
  const std::uint8_t* p = image.at(x, y);
  return {p[0], p[1], p[2]};
}

Image map_pixels(const Image& image, const std::function<Pixel(Pixel)>& f) {
  Image out(image.width, image.height);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      const Pixel p = f(pixel_of(image, x, y));
      for (std::size_t c = 0; c < 3; ++c) out.at(x, y)[c] = static_cast<std::uint8_t>(p[c]);
    }
  }
  return out;
}

int luma_of(const Pixel& p) {
  return (19595 * p[0] + 38470 * p[1] + 7471 * p[2] + 32768) >> 16;
}

int blend_of(int degenerate, int value, double factor) {
  const float alpha = static_cast<float>(factor);
  if (alpha == 1) return value;
  if (alpha == 0) return degenerate;
  const float product = alpha * static_cast<float>(value - degenerate);
  const float t = static_cast<float>(degenerate) + product;
  if (alpha <= 1) return static_cast<int>(t);
  return t <= 0 ? 0 : t >= 255 ? 255 : static_cast<int>(t);
}

// One axis of a resize; `get(k)` is the k-th input.
int resize_sample(int n_in, int n_out, int x, const std::function<int(int)>& get) {
  const double scale = static_cast<double>(n_in) / n_out, support = std::max(scale, 1.0);
  const double c = (x + 0.5) * scale;
  const int lo = std::max(0, static_cast<int>(c - support + 0.5));
  const int hi = std::min(n_in, static_cast<int>(c + support + 0.5));
  double total = 0;
  const auto weight = [&](int k) {
    return std::max(0.0, 1 - std::abs((k - c + 0.5) * (1 / support)));
  };
  for (int k = lo; k < hi; ++k) total += weight(k);
  std::int64_t sum = 1 << 21;
  for (int k = lo; k < hi; ++k) {
    sum += static_cast<std::int64_t>(0.5 + weight(k) / total * 4194304.0) * get(k);
  }
  return static_cast<int>(std::clamp<std::int64_t>(sum >> 22, 0, 255));
}

Image resize_oracle(const Image& image, int width, int height) {
  Image rows = image;
  if (width != image.width) {
    rows.reshape(width, image.height);
    for (int y = 0; y < image.height; ++y) {
      for (int x = 0; x < width; ++x) {
        for (int c = 0; c < 3; ++c) {
          rows.at(x, y)[c] = static_cast<std::uint8_t>(
              resize_sample(image.width, width, x, [&](int k) { return image.at(k, y)[c]; }));
        }
      }
    }
  }
  if (height == image.height) return rows;
  Image out(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        out.at(x, y)[c] = static_cast<std::uint8_t>(
            resize_sample(image.height, height, y, [&](int k) { return rows.at(x, k)[c]; }));
      }
    }
  }
  return out;
}

TEST(Resize, IsTheFormula) {
  struct Case {
    int width, height, to_width, to_height;
  };
  const Case cases[] = {{385, 29, 224, 22}, {50, 60, 224, 70},  {500, 37, 224, 24},
                        {385, 29, 224, 29}, {38, 290, 38, 22},  {700, 20, 200, 10},
                        {33, 7, 5, 50},     {1, 1, 9, 9},       {300, 30, 2, 2},
                        {4000, 3, 224, 2},  {64, 64, 64, 64},   {448, 16, 224, 8},
                        {17, 31, 16, 30},   {673, 12, 224, 12}, {3, 200, 1, 1}};
  for (const Case& c : cases) {
    SCOPED_TRACE(testing::Message()
                 << c.width << "x" << c.height << " to " << c.to_width << "x" << c.to_height);
    const Image image = noise(c.width, c.height, 7);
    EXPECT_EQ(resize(image, c.to_width, c.to_height),
              resize_oracle(image, c.to_width, c.to_height));
  }
}

TEST(Resize, OfExtremesNeverOverflows) {
  Image image = noise(301, 40, 1);
  std::ranges::fill(image.pixels, 255);
  const Image out = resize(image, 224, 31);
  EXPECT_TRUE(std::ranges::all_of(out.pixels, [](int v) { return v == 255; }));
}

TEST(Resize, OfAPartSeesNothingAroundIt) {
  Image image = noise(60, 50, 4);
  const Box box{11, 9, 30, 25};
  const Image expected = resize(crop(image, box), 16, 16);
  EXPECT_EQ(resize(ImageView(image).part(box), 16, 16), expected);
}

TEST(Resize, OfTheShorterSideTruncatesTheLonger) {
  EXPECT_EQ(shorter_side_size(500, 375, 256), std::pair(341, 256));
  EXPECT_EQ(shorter_side_size(375, 500, 256), std::pair(256, 341));
  EXPECT_EQ(shorter_side_size(256, 999, 256), std::pair(256, 999));
  EXPECT_EQ(shorter_side_size(300, 300, 256), std::pair(256, 256));
  EXPECT_EQ(shorter_side_size(333, 251, 256), std::pair(339, 256));
}

TEST(Crop, CentresHalvesOnTheEvenNumber) {
  EXPECT_EQ(center_box(341, 256, 224, 224), (Box{58, 16, 224, 224}));  // 58.5 -> 58
  EXPECT_EQ(center_box(343, 225, 224, 224), (Box{60, 0, 224, 224}));   // 59.5 -> 60, 0.5 -> 0
  EXPECT_EQ(center_box(341, 227, 224, 224, CenterRule::kHalfUp), (Box{59, 2, 224, 224}));
  EXPECT_THROW(center_box(223, 300, 224, 224), Error);
}

TEST(Crop, FiveAndTenInTheirOrder) {
  const Image image = noise(9, 8, 2);
  const std::array<Box, 5> boxes = {Box{0, 0, 5, 5}, Box{4, 0, 5, 5}, Box{0, 3, 5, 5},
                                    Box{4, 3, 5, 5}, Box{2, 2, 5, 5}};
  const auto five = five_crop(image, 5);
  const auto ten = ten_crop(image, 5);
  ASSERT_EQ(ten.size(), 10u);
  const Image mirrored = hflip(image);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(five[i], crop(image, boxes[i]));
    EXPECT_EQ(ten[i], five[i]);
    EXPECT_EQ(ten[5 + i], crop(mirrored, boxes[i]));
  }
  EXPECT_THROW(five_crop(image, 9), Error);
  EXPECT_THROW(crop(image, {5, 0, 5, 5}), Error);
}

TEST(Crop, FlipMirrorsPixelsNotChannels) {
  const Image image = noise(7, 3, 2);
  const Image flipped = hflip(image);
  for (int y = 0; y < 3; ++y) {
    for (int x = 0; x < 7; ++x) EXPECT_EQ(pixel_of(flipped, x, y), pixel_of(image, 6 - x, y));
  }
}

TEST(Color, BlendsAreTheFormula) {
  const Image image = noise(37, 29, 3);
  std::int64_t sum = 0;
  map_pixels(image, [&](Pixel p) { return sum += luma_of(p), p; });
  const int mean = static_cast<int>(static_cast<double>(sum) / (37 * 29) + 0.5);
  for (int i = 0; i <= 200; ++i) {
    const double f = i * 0.01 + (i % 3) * 0.0031;
    Image brighter = image, contrasted = image, saturated = image;
    adjust_brightness(brighter, f);
    adjust_contrast(contrasted, f);
    adjust_saturation(saturated, f);
    const auto each = [&](auto degenerate) {
      return map_pixels(image, [&](Pixel p) {
        const int d = degenerate(p);
        return Pixel{blend_of(d, p[0], f), blend_of(d, p[1], f), blend_of(d, p[2], f)};
      });
    };
    ASSERT_EQ(brighter, each([](const Pixel&) { return 0; })) << f;
    ASSERT_EQ(contrasted, each([&](const Pixel&) { return mean; })) << f;
    ASSERT_EQ(saturated, each(luma_of)) << f;
  }
}

TEST(Color, GrayscaleIsLuma) {
  const Image image = noise(31, 30, 3);
  Image gray = image;
  grayscale(gray);
  EXPECT_EQ(gray, map_pixels(image, [](Pixel p) {
              return Pixel{luma_of(p), luma_of(p), luma_of(p)};
            }));
}

Pixel hue_oracle(Pixel p, double factor) {
  const auto [r, g, b] = p;
  const int mx = std::max({r, g, b}), mn = std::min({r, g, b});
  int H = 0, S = 0;
  const int V = mx;
  if (mx != mn) {
    const float cr = static_cast<float>(mx - mn);
    const float s = cr / static_cast<float>(mx);
    const float rc = static_cast<float>(mx - r) / cr, gc = static_cast<float>(mx - g) / cr,
                bc = static_cast<float>(mx - b) / cr;
    float h;
    if (r == mx) {
      h = bc - gc;
    } else if (g == mx) {
      h = static_cast<float>(2.0 + rc - bc);
    } else {
      h = static_cast<float>(4.0 + gc - rc);
    }
    h = static_cast<float>(std::fmod(h / 6.0 + 1.0, 1.0));
    H = std::clamp(static_cast<int>(h * 255.0), 0, 255);
    S = std::clamp(static_cast<int>(s * 255.0), 0, 255);
  }
  H = ((H + static_cast<int>(factor * 255)) % 256 + 256) % 256;
  if (S == 0) return {V, V, V};
  const double place = static_cast<float>(H) * 6.0 / 255.0;
  const int i = static_cast<int>(std::floor(place));
  const float f = static_cast<float>(place - i);
  const float fs = static_cast<float>(S / 255.0);
  const float fs_f = fs * f;
  const auto rounded = [](double v) { return std::clamp(static_cast<int>(std::round(v)), 0, 255); };
  const int P = rounded(V * (1.0 - fs)), Q = rounded(V * (1.0 - fs_f)),
            T = rounded(V * (1.0 - fs * (1.0 - f)));
  const Pixel sectors[6] = {{V, T, P}, {Q, V, P}, {P, V, T}, {P, Q, V}, {T, P, V}, {V, P, Q}};
  return sectors[i % 6];
}

TEST(Color, HueIsTheFormula) {
  // Every 5th color of the cube in each direction, and all its faces and diagonals.
  Image image(52 * 52, 52);
  for (int i = 0; i < 52 * 52 * 52; ++i) {
    std::uint8_t* p = image.pixels.data() + 3 * i;
    p[0] = static_cast<std::uint8_t>(i % 52 * 5);
    p[1] = static_cast<std::uint8_t>(i / 52 % 52 * 5);
    p[2] = static_cast<std::uint8_t>(i / (52 * 52) * 5);
  }
  for (const double f : {0.0, 0.1, -0.1, -0.05, 0.0713, 0.5, -0.5, 0.37}) {
    for (const Image& original : {image, noise(101, 97, 3)}) {
      Image turned = original;
      adjust_hue(turned, f);
      ASSERT_EQ(turned, map_pixels(original, [f](Pixel p) { return hue_oracle(p, f); })) << f;
    }
  }
}

int box_sample(int n, int x, float rho, const std::function<int(int)>& get) {
  const int r = static_cast<int>(rho);
  const auto at = [&](int k) { return static_cast<std::uint32_t>(get(std::clamp(k, 0, n - 1))); };
  const auto ww = static_cast<std::uint32_t>(16777216.0f / (rho * 2 + 1));
  const std::uint32_t fw = (16777216u - static_cast<std::uint32_t>(2 * r + 1) * ww) / 2;
  std::uint32_t sum = 0;
  for (int k = x - r; k <= x + r; ++k) sum += at(k);
  return static_cast<int>((ww * sum + fw * (at(x - r - 1) + at(x + r + 1)) + (1u << 23)) >> 24);
}

Image blur_oracle(Image image, double sigma_given) {
  const float sigma = static_cast<float>(sigma_given);
  const float s2 = sigma * sigma / 3;
  const float L = static_cast<float>(std::sqrt(12.0 * s2 + 1.0));
  const float l = static_cast<float>(std::floor((L - 1.0) / 2.0));
  const float a = (2 * l + 1) * (l * (l + 1) - 3 * s2) / (6 * (s2 - (l + 1) * (l + 1)));
  for (int pass = 0; pass < 6; ++pass) {
    const Image before = image;
    for (int y = 0; y < image.height; ++y) {
      for (int x = 0; x < image.width; ++x) {
        for (int c = 0; c < 3; ++c) {
          const int v =
              pass < 3
                  ? box_sample(image.width, x, l + a, [&](int k) { return before.at(k, y)[c]; })
                  : box_sample(image.height, y, l + a, [&](int k) { return before.at(x, k)[c]; });
          image.at(x, y)[c] = static_cast<std::uint8_t>(v);
        }
      }
    }
  }
  return image;
}

TEST(Blur, IsTheFormula) {
  for (const auto& [width, height] : {std::pair(67, 35), {1, 1}, {2, 9}, {130, 3}, {16, 65}}) {
    const Image image = noise(width, height, 5);
    for (const double sigma : {0.0, 0.1, 0.3, 0.999, 1.0, 1.41, 1.42, 1.7, 2.0, 2.5, 9.0, 40.0}) {
      Image blurred = image;
      gaussian_blur(blurred, sigma);
      ASSERT_EQ(blurred, blur_oracle(image, sigma)) << width << "x" << height << " " << sigma;
    }
  }
}

TEST(Tensor, IsScaledAndNormalisedInSinglePrecision) {
  Image image(256, 2);
  for (int x = 0; x < 256; ++x) {
    for (int c = 0; c < 3; ++c) {
      image.at(x, 0)[c] = image.at(255 - x, 1)[c] = static_cast<std::uint8_t>(x ^ (85 * c));
    }
  }
  for (const Normalization& n : {kImagenetNormalization, kCifarNormalization}) {
    const NormalizationTable table(n);
    for (const bool flip : {false, true}) {
      std::vector<float> out(image.pixels.size(), NAN);
      to_tensor(image, table, flip, out.data());
      const Image expected = flip ? hflip(image) : image;
      for (std::size_t i = 0; i < out.size(); ++i) {
        const float scaled = static_cast<float>(expected.pixels[i]) / 255.0f;
        ASSERT_EQ(out[i], (scaled - n.mean[i % 3]) / n.std[i % 3]);
      }
    }
  }
}

TEST(Transforms, RefuseWhatMakesNoSense) {
  Image image = noise(5, 5, 1);
  EXPECT_THROW(resize(image, 0, 5), Error);
  EXPECT_THROW(resize(Image(), 5, 5), Error);
  EXPECT_THROW(adjust_brightness(image, -0.1), Error);
  EXPECT_THROW(adjust_contrast(image, NAN), Error);
  EXPECT_THROW(adjust_hue(image, 0.51), Error);
  EXPECT_THROW(gaussian_blur(image, -1), Error);
  EXPECT_THROW(NormalizationTable(Normalization{{0, 0, 0}, {1, 0, 1}}), Error);
}

}  // namespace
}  // namespace invp
