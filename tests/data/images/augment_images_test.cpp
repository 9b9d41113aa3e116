// The batch operation against the loader's steps: the same parameters must give the same bits on
// every device.
#include "engine/ops/image/augment_images.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "data/images/augment.h"
#include "data/load/image_batches.h"
#include "engine/core/error.h"
#include "tests/data/golden.h"
#include "tests/support/devices.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using testing::error_of;
using ::testing::HasSubstr;

constexpr Normalization kNormalization = kImagenetNormalization;

/// Pictures with their parameters, made ready for the operation and for the loader's steps.
struct Views {
  std::vector<Image> pictures;
  std::vector<AugmentParameters> parameters;
  int size = 8;

  void add(Image picture, AugmentParameters p) {
    if (p.crop.width == 0) p.crop = picture.box();
    if (p.width == 0) p.width = p.height = size;
    if (p.window.width == 0) p.window = {0, 0, size, size};
    pictures.push_back(std::move(picture));
    parameters.push_back(p);
  }

  /// The bits of what the loader's steps make.
  std::vector<float> expected() const {
    AugmentConfig config;
    config.image_size = size;
    Augmenter augmenter(config);
    const NormalizationTable table(kNormalization);
    const std::size_t row = Image::bytes(size, size);
    std::vector<float> out(row * pictures.size());
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      AugmentParameters unflipped = parameters[i];
      unflipped.flip = false;
      to_tensor(augmenter.apply(pictures[i], unflipped), table, parameters[i].flip,
                out.data() + i * row);
    }
    return out;
  }

  /// The pictures whole, behind one another with odd gaps, and the records of their crops.
  std::pair<Tensor, std::vector<AugmentRecord>> packed() const {
    std::vector<std::uint8_t> bytes;
    std::vector<AugmentRecord> records;
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      bytes.resize(bytes.size() + i % 5, 77);
      const Image& picture = pictures[i];
      const Box& crop = parameters[i].crop;
      AugmentRecord record = to_record(parameters[i]);
      record.row_bytes = static_cast<std::int64_t>(picture.stride());
      record.begin = std::ssize(bytes) + crop.y * record.row_bytes + crop.x * 3;
      record.width = crop.width;
      record.height = crop.height;
      records.push_back(record);
      bytes.insert(bytes.end(), picture.pixels.begin(), picture.pixels.end());
    }
    return {Tensor::from(bytes, {std::ssize(bytes)}), records};
  }
};

class AugmentImagesTest : public ::testing::TestWithParam<Device> {
 protected:
  static Device device() { return GetParam(); }

  void SetUp() override { testing::poison_free_memory(device()); }

  static Tensor run(const Views& views, int channels = 3, DType dtype = DType::kF32) {
    const auto [pixels, records] = views.packed();
    return augment_images(pixels.to(device()), records,
                          {.size = views.size,
                           .channels = channels,
                           .dtype = dtype,
                           .mean = kNormalization.mean,
                           .std = kNormalization.std});
  }

  static void expect_equal(const Views& views) {
    const Tensor y = run(views);
    EXPECT_EQ(y.shape(), (Shape{std::ssize(views.pictures), views.size, views.size, 3}));
    EXPECT_EQ(y.device(), device());
    const Tensor host = y.to(kCpu);
    const std::vector<float> expected = views.expected();
    const std::size_t row = Image::bytes(views.size, views.size);
    for (std::size_t i = 0; i < views.pictures.size(); ++i) {
      int different = 0;
      for (std::size_t e = i * row; e < (i + 1) * row; ++e)
        different += host.span<float>()[e] != expected[e];
      EXPECT_EQ(different, 0) << "picture " << i << " of " << views.pictures[i].width << " x "
                              << views.pictures[i].height << ", " << row << " elements";
    }
  }
};

std::string device_name(const ::testing::TestParamInfo<Device>& info) {
  return info.param == kCpu ? "cpu" : "cuda";
}
INSTANTIATE_TEST_SUITE_P(Devices, AugmentImagesTest,
                         ::testing::ValuesIn(testing::available_devices()), device_name);

TEST_P(AugmentImagesTest, ResizesCropsOfEveryShape) {
  for (const int size : {1, 2, 7, 16, 33}) {
    Views views{.size = size};
    for (const auto& [w, h] : std::vector<std::pair<int, int>>{{1, 1},
                                                               {1, 40},
                                                               {40, 1},
                                                               {size, size},
                                                               {size, 50},
                                                               {50, size},
                                                               {3, 2},
                                                               {61, 83},
                                                               {200, 5},
                                                               {90, 301}}) {
      views.add(test::noise(w, h, static_cast<std::uint64_t>(w * 1000 + h)), {});
    }
    SCOPED_TRACE(size);
    expect_equal(views);
  }
}

TEST_P(AugmentImagesTest, CropsOfOnePixelAndAtEveryEdge) {
  Views views{.size = 9};
  for (const Box& crop : {Box{0, 0, 1, 1}, Box{18, 12, 1, 1}, Box{0, 12, 19, 1}, Box{18, 0, 1, 13},
                          Box{5, 6, 7, 3}, Box{10, 4, 9, 9}}) {
    views.add(test::noise(19, 13, 3), {.crop = crop});
  }
  expect_equal(views);
}

TEST_P(AugmentImagesTest, KeepsAWindowOfTheResizedPicture) {
  Views views{.size = 10};
  for (const auto& [w, h] :
       std::vector<std::pair<int, int>>{{37, 20}, {20, 41}, {12, 12}, {10, 15}, {15, 10}}) {
    const auto [rw, rh] = shorter_side_size(w, h, 12);
    for (const Box& window :
         {center_box(rw, rh, 10, 10), Box{0, 0, 10, 10}, Box{rw - 10, rh - 10, 10, 10}}) {
      views.add(test::noise(w, h, 5), {.width = rw, .height = rh, .window = window});
    }
    if (w >= 10 && h >= 10)  // no resize at all
      views.add(test::noise(w, h, 6),
                {.width = w, .height = h, .window = {w - 10, h - 10, 10, 10}});
  }
  expect_equal(views);
}

AugmentParameters jittered(std::initializer_list<JitterStep> steps) {
  AugmentParameters p;
  for (const JitterStep& step : steps) p.jitter[static_cast<std::size_t>(p.jitter_steps++)] = step;
  return p;
}

TEST_P(AugmentImagesTest, EachColorStepAtManyFactors) {
  Views views{.size = 24};
  const Image picture = test::noise(24, 24, 8);
  for (const double factor : {0.0, 0.2, 0.6, 0.999, 1.0, 1.001, 1.4, 3.0, 1000.0}) {
    for (const JitterOp op : {JitterOp::kBrightness, JitterOp::kContrast, JitterOp::kSaturation})
      views.add(picture, jittered({{op, factor}}));
  }
  for (const double factor : {-0.5, -0.3, -0.1, -0.003, 0.0, 0.004, 0.05, 0.1, 0.25, 0.5})
    views.add(picture, jittered({{JitterOp::kHue, factor}}));
  expect_equal(views);
}

TEST_P(AugmentImagesTest, HueOfEveryGrayAndEveryPureColor) {
  Image colors(64, 64);
  for (int i = 0; i < 64 * 64; ++i) {
    std::uint8_t* p = colors.pixels.data() + 3 * i;
    const auto level = static_cast<std::uint8_t>(i % 256);
    const int mask = i / 256 % 8;
    for (int c = 0; c < 3; ++c) p[c] = (mask >> c & 1) != 0 || mask == 0 ? level : 0;
    if (i >= 2048) p[i % 3] = static_cast<std::uint8_t>(i / 8);
  }
  Views views{.size = 64};
  for (int shift = -127; shift <= 127; shift += 11)
    views.add(colors, jittered({{JitterOp::kHue, shift / 255.0}}));
  expect_equal(views);
}

TEST_P(AugmentImagesTest, EveryOrderOfTheFourSteps) {
  Views views{.size = 12};
  std::array<int, 4> order = {0, 1, 2, 3};
  const std::array<double, 4> factors = {1.3, 0.7, 1.35, 0.08};
  do {
    AugmentParameters p;
    for (const int op : order) {
      p.jitter[static_cast<std::size_t>(p.jitter_steps++)] = {
          static_cast<JitterOp>(op), factors[static_cast<std::size_t>(op)]};
    }
    p.gray = order[0] == 0;
    p.gray_before_jitter = order[1] == 1;
    views.add(test::photo_like(30, 25, 2), p);
  } while (std::ranges::next_permutation(order).found);
  expect_equal(views);
}

TEST_P(AugmentImagesTest, BlursOfEverySigma) {
  for (const int size : {1, 3, 20}) {
    Views views{.size = size};
    for (const double sigma : {1e-9, 0.1, 0.3, 0.55, 0.9, 1.3, 1.41, 1.42, 1.7, 1.9999, 2.4, 2.5,
                               3.7, 6.0, 15.0, 1000.0}) {
      views.add(test::noise(20, 20, 9), {.blur_sigma = sigma});
      views.add(test::photo_like(33, 18, 4), {.blur_sigma = sigma, .flip = true});
    }
    SCOPED_TRACE(size);
    expect_equal(views);
  }
}

TEST_P(AugmentImagesTest, WhateverChanceDraws) {
  Random random(11, Purpose::kBenchmark);
  for (const char* preset : {"imagenet", "imagenet-noblur", "cifar", "eval-224", "finetune-224"}) {
    AugmentConfig config = augment_preset(preset);
    config.image_size = 21;
    if (config.resize_shorter > 0) config.resize_shorter = 26;
    Views views{.size = 21};
    for (std::uint64_t i = 0; i < 40; ++i) {
      const int w = static_cast<int>(random.integer(1, 90)),
                h = static_cast<int>(random.integer(1, 90));
      views.add(i % 2 == 0 ? test::noise(w, h, i) : test::photo_like(w, h, i),
                draw_parameters(config, w, h, random));
    }
    SCOPED_TRACE(preset);
    expect_equal(views);
  }
}

// Larger than shared memory: the picture stays in the GPU's memory.
TEST_P(AugmentImagesTest, APictureThatFillsMoreThanSharedMemory) {
  Views views{.size = 280};
  AugmentParameters p = jittered({{JitterOp::kContrast, 0.7}, {JitterOp::kHue, 0.1}});
  p.blur_sigma = 0.8;
  p.flip = true;
  views.add(test::photo_like(150, 90, 1), p);
  views.add(test::noise(281, 280, 2), {});
  expect_equal(views);
}

TEST_P(AugmentImagesTest, OneBlockOfAllThreads) {
  Views views{.size = 128};
  AugmentParameters p = jittered({{JitterOp::kSaturation, 1.4}, {JitterOp::kContrast, 1.3}});
  p.blur_sigma = 1.7;
  views.add(test::photo_like(200, 150, 1), p);
  expect_equal(views);
}

TEST_P(AugmentImagesTest, ChannelsBehindTheThirdAreZeroAndBf16IsRounded) {
  Views views{.size = 11};
  views.add(test::noise(20, 30, 1), {.flip = true});
  views.add(test::noise(9, 8, 2), {.blur_sigma = 1});
  const std::vector<float> expected = views.expected();
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const int channels : {3, 8}) {
      const Tensor y = run(views, channels, dtype);
      EXPECT_EQ(y.shape(), (Shape{2, 11, 11, channels}));
      const testing::Values values = testing::values_of(y);
      for (std::size_t i = 0; i < values.size(); ++i) {
        const std::size_t c = i % static_cast<std::size_t>(channels);
        const float three = c < 3 ? expected[i / static_cast<std::size_t>(channels) * 3 + c] : 0.0F;
        const float want = dtype == DType::kBF16 ? static_cast<float>(BFloat16(three)) : three;
        ASSERT_EQ(values[i], want) << dtype << ' ' << channels << ' ' << i;
      }
    }
  }
}

TEST_P(AugmentImagesTest, NoPicturesMakeAnEmptyBatch) {
  const Tensor pixels = Tensor::empty({5}, DType::kU8, device());
  EXPECT_EQ(augment_images(pixels, {}, {.size = 4}).shape(), (Shape{0, 4, 4, 3}));
}

TEST_P(AugmentImagesTest, RecordsThatCannotBeAreRefused) {
  const Tensor pixels = Tensor::zeros({4 * 4 * 3}, DType::kU8, device());
  const AugmentRecord sound{.row_bytes = 12,
                            .width = 4,
                            .height = 4,
                            .resized_width = 6,
                            .resized_height = 5,
                            .left = 1,
                            .color_steps = 1};
  const auto says = [&](auto change, const AugmentOutput& output) {
    AugmentRecord record = sound;
    change(record);
    return error_of([&] { augment_images(pixels, std::span(&record, 1), output); });
  };
  EXPECT_NO_THROW(augment_images(pixels, std::span(&sound, 1), {.size = 5}));
  using Record = AugmentRecord;
  for (void (*change)(Record&) : std::initializer_list<void (*)(Record&)>{
           [](Record& r) { r.begin = 1; }, [](Record& r) { r.begin = -1; },
           [](Record& r) { r.begin = std::int64_t{1} << 62; }, [](Record& r) { r.width = 0; },
           [](Record& r) { r.width = 5; }, [](Record& r) { r.height = 5; },
           [](Record& r) { r.height = -2; }, [](Record& r) { r.row_bytes = 11; },
           [](Record& r) { r.row_bytes = 13; },
           [](Record& r) { r.row_bytes = std::int64_t{1} << 62; }}) {
    EXPECT_THAT(says(change, {.size = 5}), HasSubstr("does not lie within the 48 bytes"));
  }
  for (void (*change)(Record&) : std::initializer_list<void (*)(Record&)>{
           [](Record& r) { r.left = 2; }, [](Record& r) { r.top = -1; },
           [](Record& r) { r.resized_height = 4; }}) {
    EXPECT_THAT(says(change, {.size = 5}), HasSubstr("window"));
  }
  const auto factor = [&](ColorOp op, double value) {
    return says([&](Record& r) { r.color[0] = {op, value}; }, {.size = 5});
  };
  EXPECT_THAT(factor(ColorOp::kContrast, -0.1), HasSubstr("not negative"));
  EXPECT_THAT(factor(ColorOp::kBrightness, std::nan("")), HasSubstr("not negative"));
  EXPECT_THAT(factor(ColorOp::kHue, 0.6), HasSubstr("hue"));
  EXPECT_THAT(says([](Record& r) { r.blur_sigma = 1001; }, {.size = 5}), HasSubstr("sigma"));
  EXPECT_THAT(says([](Record& r) { r.color_steps = 6; }, {.size = 5}), HasSubstr("at most 5"));
  EXPECT_THAT(says([](Record&) {}, {.size = 0}), HasSubstr("a side"));
  EXPECT_THAT(says([](Record&) {}, {.size = 5, .channels = 4}), HasSubstr("3 or 8"));
}

// --- the loader's part

/// Pictures of many sizes, as files or as pixels; some are broken.
class MixedSet final : public Dataset {
 public:
  explicit MixedSet(bool broken)
      : Dataset("mixed", std::vector<std::int32_t>(37, 0), {"x"}), broken_(broken) {}
  std::string name(std::int64_t index) const override { return std::to_string(index); }
  void fetch(std::int64_t index, Sample& sample) const override {
    CHECK(!broken_ || index % 9 != 4, "picture ", index, " is broken");
    const int i = static_cast<int>(index);
    sample.drawn = test::photo_like(20 + 13 * (i % 7), 120 - 3 * i, static_cast<std::uint64_t>(i));
    sample.encoded = {};
    sample.pixels = sample.drawn;
  }

 private:
  bool broken_;
};

TEST_P(AugmentImagesTest, TheLoaderMakesTheSameBatchesHere) {
  const MixedSet set(true);
  AugmentConfig augment = augment_preset("imagenet");
  augment.image_size = 18;
  const auto run_epochs = [&](AugmentOn augment_on, int workers) {
    ImageBatches loader(set, augment,
                        {.batch_size = 10,
                         .workers = workers,
                         .seed = 5,
                         .max_bad_share = 0.5,
                         .augment_on = augment_on});
    std::vector<float> pixels;
    std::vector<std::int64_t> indices;
    std::vector<Tensor> held;
    for (const std::int64_t epoch : {0, 1, 2}) {
      loader.start_epoch(epoch);
      while (const auto made = loader.next()) {
        const auto& rows = made->batch.indices;
        EXPECT_EQ(made->batch.images.defined(), augment_on == AugmentOn::kWorkers);
        const Tensor images =
            made->batch.images.defined()
                ? made->batch.images
                : augment_images(made->pixels.to(device()), made->records, made->output);
        EXPECT_EQ(images.dim(0), std::ssize(rows));
        if (epoch == 1) held.push_back(made->pixels);  // the next batches need other buffers
        const Tensor host = images.to(kCpu);
        pixels.insert(pixels.end(), host.span<float>().begin(), host.span<float>().end());
        indices.insert(indices.end(), rows.begin(), rows.end());
      }
    }
    EXPECT_EQ(loader.bad_images().size(), 4u);
    return std::pair(indices, pixels);
  };
  const auto expected = run_epochs(AugmentOn::kWorkers, 0);
  for (const int workers : {0, 1, 3})
    EXPECT_TRUE(run_epochs(AugmentOn::kDevice, workers) == expected) << workers;
}

}  // namespace
}  // namespace invp
