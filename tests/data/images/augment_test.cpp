#include "data/images/augment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "data/images/contact_sheet.h"
#include "data/images/encode.h"
#include "engine/core/error.h"
#include "tests/data/golden.h"

namespace invp {
namespace {

using test::photo_like;

constexpr int kDraws = 20000;

std::vector<AugmentParameters> draws(const AugmentConfig& config, int width, int height,
                                     int count = kDraws) {
  std::vector<AugmentParameters> out;
  for (int i = 0; i < count; ++i) {
    Random random(11, Purpose::kAugmentation, 0, static_cast<std::uint64_t>(i));
    out.push_back(draw_parameters(config, width, height, random));
  }
  return out;
}

/// Kolmogorov and Smirnov's distance to the uniform distribution over [low, high), times sqrt(n):
/// above 1.95 once in a thousand.
double ks_uniform(std::vector<double> values, double low, double high) {
  std::ranges::sort(values);
  const double n = static_cast<double>(values.size());
  double worst = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double expected = (values[i] - low) / (high - low);
    worst = std::max({worst, std::abs(expected - static_cast<double>(i) / n),
                      std::abs(expected - static_cast<double>(i + 1) / n)});
  }
  return worst * std::sqrt(n);
}
constexpr double kKsLimit = 1.95;

/// Counts of `kinds` equally likely kinds: (chi square - degrees) / sqrt(2 * degrees), about
/// normal.
template <class Key>
double chi_square_excess(const std::map<Key, int>& counts, std::size_t kinds) {
  double total = 0, sum = 0;
  for (const auto& [key, count] : counts) total += count;
  const double expected = total / static_cast<double>(kinds);
  for (const auto& [key, count] : counts) sum += (count - expected) * (count - expected) / expected;
  sum += static_cast<double>(kinds - counts.size()) * expected;
  const double degrees = static_cast<double>(kinds - 1);
  return (sum - degrees) / std::sqrt(2 * degrees);
}

void expect_share(std::int64_t count, std::size_t of, double probability) {
  const double n = static_cast<double>(of);
  EXPECT_NEAR(static_cast<double>(count) / n, probability,
              4 * std::sqrt(probability * (1 - probability) / n) + 1e-12);
}

// In a picture so large that every part fits, nothing is rejected: share and shape are uniform.
TEST(DrawParameters, CropsHaveUniformShareAndLogShape) {
  AugmentConfig config = augment_preset("imagenet");
  config.crop_scale = {0.05, 0.4};
  std::vector<double> shares, shapes, lefts, tops;
  for (const auto& p : draws(config, 40000, 40000)) {
    const double w = p.crop.width, h = p.crop.height;
    shares.push_back(w * h / 1.6e9);
    shapes.push_back(std::log(w / h));
    lefts.push_back(p.crop.x / (40000 - w));
    tops.push_back(p.crop.y / (40000 - h));
  }
  EXPECT_LT(ks_uniform(shares, 0.05, 0.4), kKsLimit);
  EXPECT_LT(ks_uniform(shapes, std::log(0.75), std::log(4.0 / 3)), kKsLimit);
  EXPECT_LT(ks_uniform(lefts, 0, 1), kKsLimit);
  EXPECT_LT(ks_uniform(tops, 0, 1), kKsLimit);
}

TEST(DrawParameters, PositionsReachBothEnds) {
  AugmentConfig config = augment_preset("cifar");
  config.crop_scale = {0.25, 0.25};
  config.crop_ratio = {1, 1};
  std::map<int, int> lefts, tops;
  for (const auto& p : draws(config, 8, 8)) {
    ASSERT_EQ(p.crop.width, 4);
    ++lefts[p.crop.x];
    ++tops[p.crop.y];
  }
  EXPECT_EQ(lefts.begin()->first, 0);
  EXPECT_EQ(lefts.rbegin()->first, 4);
  EXPECT_LT(chi_square_excess(lefts, 5), 4);
  EXPECT_LT(chi_square_excess(tops, 5), 4);
}

TEST(DrawParameters, CropsLieInsideAndKeepTheirBounds) {
  const AugmentConfig config = augment_preset("imagenet");
  for (const auto& [width, height] : {std::pair(500, 375), {64, 64}, {7, 5}}) {
    for (const auto& p : draws(config, width, height, 3000)) {
      const Box& c = p.crop;
      ASSERT_TRUE(c.x >= 0 && c.y >= 0 && c.width > 0 && c.height > 0);
      ASSERT_TRUE(c.x + c.width <= width && c.y + c.height <= height);
      // Half a pixel of rounding on either side.
      ASSERT_GE((c.width + 0.5) * (c.height + 0.5), 0.2 * width * height);
      ASSERT_GE((c.width + 0.5) / (c.height - 0.5), 0.75);
      ASSERT_LE((c.width - 0.5) / (c.height + 0.5), 4.0 / 3);
    }
  }
}

TEST(DrawParameters, FallsBackToTheCentre) {
  AugmentConfig config = augment_preset("imagenet");
  config.crop_scale = {1, 1};  // the whole area in another shape never fits
  Random random(1, Purpose::kAugmentation);
  EXPECT_EQ(draw_parameters(config, 1000, 100, random).crop, (Box{433, 0, 133, 100}));
  EXPECT_EQ(draw_parameters(config, 100, 1001, random).crop, (Box{0, 434, 100, 133}));
  config.crop_ratio = {0.75, 0.75000001};
  EXPECT_EQ(draw_parameters(config, 3, 4, random).crop, (Box{0, 0, 3, 4}));
  config = augment_preset("imagenet");
  for (const auto& [width, height] : {std::pair(3001, 1), {1, 3001}, {1, 1}}) {
    for (const auto& p : draws(config, width, height, 200)) {
      ASSERT_TRUE(p.crop.width >= 1 && p.crop.x + p.crop.width <= width);
      ASSERT_TRUE(p.crop.height >= 1 && p.crop.y + p.crop.height <= height);
    }
  }
}

TEST(DrawParameters, JitterHasUniformFactorsInEveryOrder) {
  const auto all = draws(augment_preset("imagenet"), 500, 375);
  std::map<std::vector<int>, int> orders;
  std::array<std::vector<double>, 4> factors;
  for (const auto& p : all) {
    if (p.jitter_steps == 0) continue;
    ASSERT_EQ(p.jitter_steps, 4);
    std::vector<int> order;
    for (const JitterStep& step : p.jitter) {
      order.push_back(static_cast<int>(step.op));
      factors[static_cast<std::size_t>(step.op)].push_back(step.factor);
    }
    ++orders[order];
  }
  expect_share(static_cast<std::int64_t>(factors[0].size()), all.size(), 0.8);
  EXPECT_LT(chi_square_excess(orders, 24), 4);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_LT(ks_uniform(factors[i], 0.6, 1.4), kKsLimit);
  EXPECT_LT(ks_uniform(factors[3], -0.1, 0.1), kKsLimit);
}

TEST(DrawParameters, AbsentAndWideJitterTerms) {
  AugmentConfig config;
  config.jitter = {0, 1.5, 0, 0};
  config.jitter_prob = 1;
  std::vector<double> factors;
  for (const auto& p : draws(config, 224, 224)) {
    ASSERT_EQ(p.jitter_steps, 1);
    ASSERT_EQ(p.jitter[0].op, JitterOp::kContrast);
    factors.push_back(p.jitter[0].factor);
  }
  EXPECT_LT(ks_uniform(factors, 0, 2.5), kKsLimit);
}

TEST(DrawParameters, ChancesAreThoseOfThePreset) {
  const auto all = draws(augment_preset("imagenet"), 500, 375);
  std::vector<double> sigmas;
  for (const auto& p : all) {
    if (p.blur_sigma > 0) sigmas.push_back(p.blur_sigma);
  }
  expect_share(std::ranges::count(all, true, &AugmentParameters::gray), all.size(), 0.2);
  expect_share(std::ranges::count(all, true, &AugmentParameters::flip), all.size(), 0.5);
  expect_share(static_cast<std::int64_t>(sigmas.size()), all.size(), 0.5);
  EXPECT_LT(ks_uniform(sigmas, 0.1, 2.0), kKsLimit);
  for (const auto& p : draws(augment_preset("cifar"), 32, 32, 500)) {
    EXPECT_FALSE(p.flip);
    EXPECT_EQ(p.blur_sigma, 0);
    EXPECT_EQ(p.jitter_steps, 4);
  }
}

TEST(DrawParameters, AreAFunctionOfTheStream) {
  const AugmentConfig config = augment_preset("imagenet");
  const auto draw = [&](std::uint64_t seed, std::uint64_t epoch, std::uint64_t sample) {
    Random random(seed, Purpose::kAugmentation, epoch, sample);
    return draw_parameters(config, 500, 375, random);
  };
  EXPECT_EQ(draw(1, 2, 3), draw(1, 2, 3));
  EXPECT_NE(draw(1, 2, 3), draw(2, 2, 3));
  EXPECT_NE(draw(1, 2, 3), draw(1, 3, 3));
  EXPECT_NE(draw(1, 2, 3), draw(1, 2, 4));
}

TEST(DrawParameters, EvaluationTakesTheCentre) {
  Random random(1, Purpose::kAugmentation);
  const auto p = draw_parameters(augment_preset("eval-224"), 500, 375, random);
  EXPECT_EQ(p.width, 341);
  EXPECT_EQ(p.height, 256);
  EXPECT_EQ(p.window, (Box{58, 16, 224, 224}));
  EXPECT_EQ(p.jitter_steps, 0);
  EXPECT_FALSE(p.gray || p.flip || p.blur_sigma > 0);
  const Image image = photo_like(500, 375, 1);
  Augmenter augmenter(augment_preset("eval-224"));
  EXPECT_EQ(augmenter.apply(image, p), center_crop(resize_shorter(image, 256), 224));
  // CIFAR pictures stay as they are.
  const Image small = test::noise(32, 32, 1);
  EXPECT_EQ(Augmenter(augment_preset("eval-cifar"))
                .apply(small, draw_parameters(augment_preset("eval-cifar"), 32, 32, random)),
            small);
}

TEST(DrawParameters, RandomCropsReachBothEnds) {
  AugmentConfig config = augment_preset("finetune-224");
  config.image_size = 30;
  config.resize_shorter = 32;
  std::map<std::pair<int, int>, int> places;
  for (const auto& p : draws(config, 34, 32)) ++places[{p.window.x, p.window.y}];
  EXPECT_LT(chi_square_excess(places, 5 * 3), 4);
}

TEST(Augmenter, AppliesTheStepsInTheirOrder) {
  const Image image = photo_like(120, 90, 4);
  for (const bool gray_first : {false, true}) {
    AugmentParameters p;
    p.crop = {11, 7, 80, 70};
    p.width = p.height = 64;
    p.window = {0, 0, 64, 64};
    p.jitter = {{{JitterOp::kHue, 0.08}, {JitterOp::kContrast, 1.3}, {JitterOp::kBrightness, 0.8}}};
    p.jitter_steps = 3;
    p.gray = true;
    p.gray_before_jitter = gray_first;
    p.blur_sigma = 1.1;
    p.flip = true;
    Image expected = resize(crop(image, p.crop), 64, 64);
    if (gray_first) grayscale(expected);
    adjust_hue(expected, 0.08);
    adjust_contrast(expected, 1.3);
    adjust_brightness(expected, 0.8);
    if (!gray_first) grayscale(expected);
    gaussian_blur(expected, 1.1);
    AugmentConfig config;
    config.image_size = 64;
    EXPECT_EQ(Augmenter(config).apply(image, p), hflip(expected));
  }
}

TEST(Augmenter, FromAFileEqualsFromItsPixels) {
  for (const char* preset : {"imagenet", "eval-224", "finetune-224", "cifar"}) {
    AugmentConfig config = augment_preset(preset);
    config.image_size = std::min(config.image_size, 96);
    if (config.resize_shorter > 0) config.resize_shorter = 110;
    Augmenter augmenter(config);
    const std::size_t n = 3 * static_cast<std::size_t>(config.image_size * config.image_size);
    const auto bytes = encode_jpeg(photo_like(250, 187, 3));
    const Image whole = decode_image(bytes, "x");
    for (std::uint64_t i = 0; i < 25; ++i) {
      std::vector<float> a(n, NAN), b(n, NAN);
      Random first(3, Purpose::kAugmentation, 0, i), second(3, Purpose::kAugmentation, 0, i);
      augmenter.augment_into(bytes, "x", first, a.data());
      augmenter.augment_into(whole, second, b.data());
      ASSERT_EQ(a, b) << preset << " " << i;
    }
  }
}

TEST(Augmenter, ScaledDecodingStaysClose) {
  AugmentConfig config = augment_preset("eval-224");
  config.image_size = config.resize_shorter = 48;
  const auto bytes = encode_jpeg(resize(photo_like(20, 20, 3), 403, 401));
  std::vector<float> exact(3 * 48 * 48), scaled(exact.size());
  Random random(1, Purpose::kAugmentation);
  Augmenter(config).augment_into(bytes, "x", random, exact.data());
  config.dct_scaling = true;
  Augmenter(config).augment_into(bytes, "x", random, scaled.data());
  double sum = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) sum += std::abs(exact[i] - scaled[i]);
  EXPECT_GT(sum, 0);
  EXPECT_LT(sum / static_cast<double>(exact.size()), 0.1);  // of a spread of 1 to 2
}

TEST(AugmentConfig, NamesWhatIsWrong) {
  const auto error = [](auto change) -> std::string {
    AugmentConfig config = augment_preset("imagenet");
    change(config);
    try {
      Augmenter augmenter(config);
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  };
  using testing::HasSubstr;
  EXPECT_EQ(error([](AugmentConfig&) {}), "no error");
  EXPECT_THAT(error([](AugmentConfig& c) { c.gray_prob = 1.5; }), HasSubstr("gray probability"));
  EXPECT_THAT(error([](AugmentConfig& c) { c.crop_scale = {0, 1}; }), HasSubstr("crop scale"));
  EXPECT_THAT(error([](AugmentConfig& c) { c.crop_scale = {0.5, 0.2}; }), HasSubstr("crop scale"));
  EXPECT_THAT(error([](AugmentConfig& c) { c.crop_ratio = {0, 1}; }), HasSubstr("crop ratio"));
  EXPECT_THAT(error([](AugmentConfig& c) { c.jitter[3] = 0.6; }), HasSubstr("jitter of hue"));
  EXPECT_THAT(error([](AugmentConfig& c) { c.blur_sigma.low = NAN; }), HasSubstr("blur sigma"));
  EXPECT_THAT(error([](AugmentConfig& c) { c.image_size = 0; }), HasSubstr("image size"));
  EXPECT_THAT(error([](AugmentConfig& c) { c.resize_shorter = 100; }), HasSubstr("shorter side"));
  try {
    augment_preset("imagnet");
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("did you mean 'imagenet'?"));
  }
  for (const std::string_view name : augment_presets()) check_augment(augment_preset(name));
}

TEST(ContactSheet, ShowsEachOriginalAndWhatTrainingWouldSee) {
  AugmentConfig config = augment_preset("cifar");
  const std::vector<Image> originals = {test::noise(32, 32, 1), test::noise(32, 32, 2)};
  const Image sheet = contact_sheet(originals, config, 9, {.views = 3, .tile = 32, .gap = 2});
  ASSERT_EQ(sheet.width, 2 + 4 * 34 + 4);
  ASSERT_EQ(sheet.height, 2 + 2 * 34);
  Random random(9, Purpose::kAugmentation, 2, 1);
  const auto parameters = draw_parameters(config, 32, 32, random);
  EXPECT_EQ(crop(sheet, {2, 36, 32, 32}), originals[1]);
  EXPECT_EQ(crop(sheet, {2 + 3 * 34 + 4, 36, 32, 32}),
            Augmenter(config).apply(originals[1], parameters));
  EXPECT_EQ(*sheet.at(0, 0), 250);
  EXPECT_THROW(contact_sheet({}, config, 1), Error);
}

}  // namespace
}  // namespace invp
