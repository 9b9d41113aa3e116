// Files decoded by the device against the workers' decoder: the same batches to within two gray
// levels, whatever shares a batch with them and whatever is broken.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "data/images/encode.h"
#include "data/load/batch_feed.h"
#include "tests/data/golden.h"
#include "tests/support/devices.h"
#include "tests/support/temp_folder.h"
#ifdef INVP_CUDA_EMULATED
#include "emulator.h"
#include "engine/core/cuda_context.h"
#endif

namespace invp::testing {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes jpeg(int i, Subsampling subsampling = Subsampling::k420, bool progressive = false) {
  const Image picture = test::photo_like(9 + 13 * (i % 7), 80 - i, static_cast<std::uint64_t>(i));
  return encode_jpeg(picture, {.subsampling = subsampling, .progressive = progressive});
}

/// Its header can be read, its quantisation table is gone: no decoder can go on.
Bytes without_table(Bytes file) {
  for (std::size_t i = 0; i + 1 < file.size(); ++i) {
    if (file[i] == 0xff && file[i + 1] == 0xdb) file[i + 1] = 0xfe;  // now a comment
  }
  return file;
}

/// Half of its data is missing before the end marker: the workers' decoder makes do with it.
Bytes halved(Bytes file) {
  file.erase(file.begin() + std::ssize(file) / 2, file.end() - 2);
  return file;
}

/// Files of each kind, some broken, and a few pictures that are no files.
class Album final : public Dataset {
 public:
  explicit Album(bool broken)
      : Dataset("album", std::vector<std::int32_t>(40, 0), {"x"}), broken_(broken) {}
  std::string name(std::int64_t index) const override { return std::to_string(index); }
  void fetch(std::int64_t index, Sample& sample) const override {
    const int i = static_cast<int>(index);
    sample.encoded = {};
    if (i % 8 == 7) {
      sample.drawn = test::photo_like(30, 20 + i, 1);
      sample.pixels = sample.drawn;
      return;
    }
    sample.file = file(i);
    sample.encoded = sample.file;
  }

 private:
  Bytes file(int i) const {
    if (broken_ && i % 12 == 1) return without_table(jpeg(i));
    if (broken_ && i == 10) return halved(jpeg(i));
    if (broken_ && i == 11) {
      Bytes cut = jpeg(i);
      cut.resize(cut.size() / 2);
      return cut;
    }
    switch (i % 8) {
      case 2: return jpeg(i, Subsampling::k444);
      case 3: return jpeg(i, Subsampling::kGray);
      case 4: return jpeg(i, Subsampling::k420, true);
      case 5: return encode_png(test::photo_like(33, 30 + i, 2));
      case 6: return jpeg(i, Subsampling::k422);
      default: return jpeg(i);
    }
  }

  bool broken_;
};

struct Epochs {
  std::vector<std::int64_t> positions, indices, labels;
  std::vector<float> pixels;
  std::vector<std::string> bad;
};

class DecodeOnDeviceTest : public DeviceTest {
 protected:
  static bool here() { return jpeg_obstacle(device()).empty(); }
  static LoaderOptions options(DecodeOn decode_on, std::int64_t batch_size, int workers) {
    return {.batch_size = batch_size,
            .workers = workers,
            .seed = 3,
            .max_bad_share = 0.5,
            .augment_on = AugmentOn::kDevice,
            .decode_on = decode_on};
  }
  /// Nothing that enlarges differences: a random part, resized and mirrored.
  static AugmentConfig augmentation() {
    AugmentConfig config = augment_preset("train-224");
    config.image_size = 12;
    return config;
  }
  static Epochs run_epochs(const Dataset& set, DecodeOn decode_on, std::int64_t batch_size,
                           int workers) {
    BatchFeed feed(set, augmentation(), options(decode_on, batch_size, workers), device());
    Epochs all;
    for (const std::int64_t epoch : {1, 2}) {
      feed.start_epoch(epoch);
      while (const std::optional<Batch> batch = feed.next()) {
        EXPECT_EQ(batch->images.device(), device());
        const Tensor host = batch->images.to(kCpu);
        all.positions.push_back(batch->position);
        all.indices.insert(all.indices.end(), batch->indices.begin(), batch->indices.end());
        all.labels.insert(all.labels.end(), batch->labels.begin(), batch->labels.end());
        all.pixels.insert(all.pixels.end(), host.span<float>().begin(), host.span<float>().end());
      }
    }
    for (const BadImage& image : feed.bad_images()) all.bad.push_back(image.file + image.reason);
    return all;
  }
  static void expect_same(const Epochs& found, const Epochs& expected) {
    EXPECT_EQ(found.positions, expected.positions);
    EXPECT_EQ(found.indices, expected.indices);
    EXPECT_EQ(found.labels, expected.labels);
    EXPECT_EQ(found.bad, expected.bad);
    ASSERT_EQ(found.pixels.size(), expected.pixels.size());
    double worst = 0;
    for (std::size_t i = 0; i < found.pixels.size(); ++i) {
      const double std = augmentation().normalization.std[i % 3];
      worst = std::max(worst, 255 * std * std::abs(found.pixels[i] - expected.pixels[i]));
    }
    EXPECT_GT(worst, 0);  // another decoder was at work
    EXPECT_LT(worst, 2.01);
  }
};
RUN_ON_EACH_DEVICE(DecodeOnDeviceTest);

TEST_P(DecodeOnDeviceTest, HandsOutTheWorkersImages) {
  if (!here()) GTEST_SKIP() << jpeg_obstacle(device());
  const Album album(false);
  const Epochs expected = run_epochs(album, DecodeOn::kWorkers, 7, 0);
  for (const int workers : {0, 3})
    expect_same(run_epochs(album, DecodeOn::kDevice, 7, workers), expected);
  expect_same(run_epochs(album, DecodeOn::kDevice, 1, 2),
              run_epochs(album, DecodeOn::kWorkers, 1, 2));
}

TEST_P(DecodeOnDeviceTest, BrokenFilesAreFoundAsTheWorkersFindThem) {
  if (!here()) GTEST_SKIP() << jpeg_obstacle(device());
  const Album album(true);
  for (const std::int64_t batch_size : {1, 9}) {
    const Epochs expected = run_epochs(album, DecodeOn::kWorkers, batch_size, 2);
    EXPECT_EQ(expected.bad.size(), 5u);
    expect_same(run_epochs(album, DecodeOn::kDevice, batch_size, 2), expected);
  }
}

TEST_P(DecodeOnDeviceTest, TooManyBrokenFilesStopIt) {
  if (!here()) GTEST_SKIP() << jpeg_obstacle(device());
  const Album album(true);
  LoaderOptions few = options(DecodeOn::kDevice, 5, 2);
  few.max_bad_share = 0.05;
  BatchFeed feed(album, augmentation(), few, device());
  feed.start_epoch(1);
  EXPECT_THAT(error_of([&] {
                while (feed.next()) {
                }
              }),
              ::testing::HasSubstr("3 of 40 images are bad"));
}

TEST_P(DecodeOnDeviceTest, BatchesThatAreHeldStayAsTheyAre) {
  if (!here()) GTEST_SKIP() << jpeg_obstacle(device());
  const Album album(false);
  const Epochs expected = run_epochs(album, DecodeOn::kWorkers, 6, 2);
  BatchFeed feed(album, augmentation(), options(DecodeOn::kDevice, 6, 2), device());
  std::vector<Batch> held;
  for (const std::int64_t epoch : {1, 2}) {
    feed.start_epoch(epoch);
    while (std::optional<Batch> batch = feed.next()) held.push_back(*batch);
  }
  Epochs found = expected;
  found.pixels.clear();
  for (const Batch& batch : held) {
    const Tensor host = batch.images.to(kCpu);
    found.pixels.insert(found.pixels.end(), host.span<float>().begin(), host.span<float>().end());
  }
  expect_same(found, expected);
}

TEST_P(DecodeOnDeviceTest, IsRefusedWhereThereIsNoDecoder) {
  if (here()) GTEST_SKIP() << "there is one";
  const Album album(false);
  const auto make = [&] {
    BatchFeed(album, augmentation(), options(DecodeOn::kDevice, 5, 0), device());
  };
  EXPECT_THAT(error_of(make), ::testing::HasSubstr(jpeg_obstacle(device())));
}

TEST_P(DecodeOnDeviceTest, RefusesWhatTheDeviceCannotDo) {
  const Album album(false);
  AugmentConfig scaled = augmentation();
  scaled.dct_scaling = true;
  LoaderOptions in_workers = options(DecodeOn::kDevice, 5, 0);
  in_workers.augment_on = AugmentOn::kWorkers;
  LoaderOptions upright = options(DecodeOn::kDevice, 5, 0);
  upright.decode.apply_orientation = true;
  const auto refused = [&](const AugmentConfig& augment, const LoaderOptions& asked) {
    return error_of([&] { ImageBatches(album, augment, asked); });
  };
  const auto says = ::testing::HasSubstr("Decoding on the device needs");
  EXPECT_THAT(refused(scaled, options(DecodeOn::kDevice, 5, 0)), says);
  EXPECT_THAT(refused(augmentation(), in_workers), says);
  EXPECT_THAT(refused(augmentation(), upright), says);
}

/// Batches of one picture each, decoded one right after the other.
TEST_P(DecodeOnDeviceTest, PixelsAreLibjpegsToWithinTwoGrayLevels) {
  if (!here()) GTEST_SKIP() << jpeg_obstacle(device());
#ifdef INVP_CUDA_EMULATED
  emulator::hold(cuda::context(device()).stream(), true);  // copies wait until the host does
#endif
  std::vector<Image> expected;
  std::vector<Tensor> found;
  for (int i = 0; i < 12; ++i) {
    constexpr std::array kKinds{Subsampling::k444, Subsampling::k422, Subsampling::k440,
                                Subsampling::k420};
    const Bytes file = jpeg(i, kKinds[static_cast<std::size_t>(i) % kKinds.size()]);
    const Image& image = expected.emplace_back(decode_image(file, "file"));
    const JpegFile place{.bytes = std::ssize(file), .width = image.width, .height = image.height};
    found.push_back(Tensor::empty({place.picture_bytes()}, DType::kU8, device()));
    ASSERT_TRUE(decode_jpegs(Tensor::from(file, {place.bytes}), {{place}}, found.back()));
  }
  // Luma a level off and chroma, too, make 1 + 1.77 of it in blue: rarely.
  std::int64_t pixels = 0;
  std::int64_t beyond = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const Tensor host = found[i].to(kCpu);
    for (std::size_t at = 0; at < expected[i].pixels.size(); ++at) {
      const int apart = std::abs(host.span<std::uint8_t>()[at] - expected[i].pixels[at]);
      ASSERT_LE(apart, 3) << "picture " << i;
      beyond += apart > 2 ? 1 : 0;
    }
    pixels += host.numel();
  }
  EXPECT_LE(beyond, pixels / 1000);
}

TEST_P(DecodeOnDeviceTest, SaysWhichFilesItDoesNotTakeAndWhichPlacesThereAreNot) {
  if (!here()) GTEST_SKIP() << jpeg_obstacle(device());
  const Bytes good = jpeg(3);
  const Bytes bad = without_table(good);
  const ImageInfo info = read_image_info(good, "good");
  JpegFile place{.bytes = std::ssize(good), .width = info.width, .height = info.height};
  const Tensor pixels = Tensor::empty({place.picture_bytes()}, DType::kU8, device());
  EXPECT_FALSE(decode_jpegs(Tensor::from(bad, {place.bytes}), {{place}}, pixels));
  const Tensor bytes = Tensor::from(good, {place.bytes});
  EXPECT_TRUE(decode_jpegs(bytes, {{place}}, pixels));
  place.pixels = 1;
  EXPECT_THROW(decode_jpegs(bytes, {{place}}, pixels), Error);
  place.pixels = 0;
  place.begin = 1;
  EXPECT_THROW(decode_jpegs(bytes, {{place}}, pixels), Error);
}

}  // namespace
}  // namespace invp::testing
