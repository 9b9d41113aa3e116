// Packs: what is written is what is read, and the loader makes the same batches of a pack of pixels
// as of the files.
#include <gmock/gmock.h>

#include <algorithm>

#include "data/images/decode.h"
#include "data/images/transform.h"
#include "data/load/batch_feed.h"
#include "data/sets/open_dataset.h"
#include "engine/core/error.h"
#include "engine/core/parallel.h"
#include "tests/data/sets/pack_fixture.h"

namespace invp {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::read_all;

TEST_F(PackTest, PixelsAreTheDecodedOnes) {
  const PackReport report = write_raw();
  EXPECT_EQ(report.images, 12);
  EXPECT_EQ(report.copied, 0);
  EXPECT_EQ(report.shrunk, 0);
  EXPECT_TRUE(report.left_out.empty());
  EXPECT_EQ(report.bytes, static_cast<std::int64_t>(fs::file_size(file())));
  const auto pack = open_pack(file());
  EXPECT_EQ(pack->kind(), "pack");
  EXPECT_EQ(pack->storage(), "from imagefolder, pixels, sizes as they were");
  ASSERT_EQ(pack->size(), 12);
  EXPECT_EQ(pack->classes(), set_->classes());
  for (std::int64_t i = 0; i < 12; ++i) {
    EXPECT_EQ(pack->label(i), set_->label(i));
    EXPECT_EQ(pack->load(i), set_->load(i)) << i;
    EXPECT_NO_THROW(pack->check(i));
    const std::string name = fs::path(set_->name(i)).lexically_relative(root()).string();
    EXPECT_EQ(pack->name(i), file().string() + '[' + std::to_string(i) + "] (" + name + ')');
  }
}

TEST_F(PackTest, PicturesWithoutLabelsStayWithoutThem) {
  const testing::TempFolder flat;
  for (const char* name : {"a.ppm", "b.ppm"}) flat.write(name, "P6\n1 1\n255\nabc");
  const auto set = open_dataset({.path = flat.path()}, "train");
  const fs::path file = flat / "train.pack";
  write_pack(*set, file, {.raw = true}, [](std::int64_t, std::int64_t) {});
  const auto pack = open_pack(file);
  EXPECT_EQ(pack->size(), 2);
  EXPECT_FALSE(pack->has_labels());
  EXPECT_EQ(pack->label(1), -1);
  EXPECT_EQ(pack->load(1), set->load(1));
  EXPECT_THAT(pack->why_no_labels(), HasSubstr("train.pack"));
}

TEST_F(PackTest, SmallJpegsAreCopiedByteForByte) {
  const PackReport report = write({.shorter = 60, .quality = 80});
  EXPECT_EQ(report.images, 12);
  const auto pack = open_pack(file());
  EXPECT_EQ(pack->storage(), "from imagefolder, shorter side at most 60, JPEG quality 80");
  std::int64_t copied = 0, shrunk = 0;
  Sample sample;
  for (std::int64_t i = 0; i < 12; ++i) {
    const Image image = set_->load(i);
    const bool small = std::min(image.width, image.height) <= 60;
    const bool jpeg = set_->name(i).ends_with(".jpg");
    std::vector<std::uint8_t> expected = read_file_bytes(set_->name(i));
    if (!small || !jpeg)
      expected = encode_jpeg(small ? image : resize_shorter(image, 60), {.quality = 80});
    copied += small && jpeg;
    shrunk += !small;
    pack->fetch(i, sample);
    EXPECT_TRUE(std::ranges::equal(sample.encoded, expected)) << i;
    EXPECT_NO_THROW(pack->check(i));
  }
  EXPECT_EQ(report.copied, copied);
  EXPECT_EQ(report.shrunk, shrunk);
  EXPECT_GT(copied, 0);
  EXPECT_GT(shrunk, 0);
}

TEST_F(PackTest, ShrunkPixelsAreThoseOfTheResize) {
  write({.raw = true, .shorter = 50});
  const auto pack = open_pack(file());
  for (std::int64_t i = 0; i < 12; ++i) {
    const Image image = set_->load(i);
    const bool small = std::min(image.width, image.height) <= 50;
    EXPECT_EQ(pack->load(i), small ? image : resize_shorter(image, 50)) << i;
  }
}

TEST_F(PackTest, KeepingEverySizeCopiesEveryJpeg) {
  EXPECT_EQ(write({.shorter = 0}).copied, 9);
  EXPECT_EQ(open_pack(file())->storage(), "from imagefolder, sizes as they were, JPEG quality 90");
}

TEST_F(PackTest, TheBytesDependOnNothingButThePictures) {
  std::vector<std::string> packs;
  const int threads = num_threads();
  for (const int count : {1, 1, 3}) {
    set_num_threads(count);
    write({.shorter = 60});
    packs.push_back(read_all(file()));
  }
  set_num_threads(threads);
  EXPECT_EQ(packs[0], packs[1]);
  EXPECT_EQ(packs[0], packs[2]);
}

TEST_F(PackTest, APackOfAPackIsTheSamePack) {
  write_raw();
  const auto first = open_pack(file());
  const fs::path second = folder_ / "second.pack";
  write_pack(*first, second, {.raw = true, .shorter = 0}, [](std::int64_t, std::int64_t) {});
  const auto again = open_pack(second);
  for (std::int64_t i = 0; i < 12; ++i) EXPECT_EQ(again->load(i), first->load(i));
}

struct Epoch {
  std::vector<std::int64_t> indices, labels;
  std::vector<float> pixels;
  bool operator==(const Epoch&) const = default;
};

Epoch run_loader(const Dataset& set) {
  AugmentConfig augment = augment_preset("imagenet");
  augment.image_size = 24;
  BatchFeed loader(set, augment, {.batch_size = 5, .workers = 2, .seed = 3}, kCpu);
  loader.start_epoch(2);
  Epoch epoch;
  while (const auto batch = loader.next()) {
    epoch.indices.insert(epoch.indices.end(), batch->indices.begin(), batch->indices.end());
    epoch.labels.insert(epoch.labels.end(), batch->labels.begin(), batch->labels.end());
    const auto pixels = batch->images.span<float>();
    epoch.pixels.insert(epoch.pixels.end(), pixels.begin(), pixels.end());
  }
  return epoch;
}

TEST_F(PackTest, TheLoaderMakesTheSameBatchesOfAPackOfPixels) {
  write_raw();
  const Epoch expected = run_loader(*set_);
  EXPECT_EQ(expected.indices.size(), 12u);
  EXPECT_TRUE(run_loader(*open_pack(file())) == expected);
}

TEST_F(PackTest, TheLoaderMakesTheSameBatchesOfCopiedFiles) {
  for (const std::int64_t i : {3, 7, 11}) {  // the PNGs, which would become JPEGs
    fs::remove(root() / ("bee/" + std::to_string(100 + i) + ".png"));
    fs::remove(root() / ("ant/" + std::to_string(100 + i) + ".png"));
  }
  set_ = open_image_folder(root());
  write({.shorter = 0});
  EXPECT_TRUE(run_loader(*open_pack(file())) == run_loader(*set_));
}

TEST_F(PackTest, SetsOfPixelsArePackedToo) {
  DataSource source{.format = "synthetic"};
  source.synthetic_train = 9;
  const auto drawn = open_dataset(source, "train");
  write_pack(*drawn, file(), {.raw = true}, [](std::int64_t, std::int64_t) {});
  const auto pack = open_pack(file());
  EXPECT_EQ(pack->storage(), "from synthetic, pixels, sizes as they were");
  for (std::int64_t i = 0; i < 9; ++i) EXPECT_EQ(pack->load(i), drawn->load(i));
}

TEST_F(PackTest, BrokenPicturesAreListedAndLeftOut) {
  folder_.write("set/ant/broken.jpg", "no picture");
  const std::string whole = read_all(set_->name(4));
  folder_.write("set/bee/cut.jpg", whole.substr(0, whole.size() / 2));
  set_ = open_image_folder(root());
  ASSERT_EQ(set_->size(), 14);
  const PackReport report = write({.shorter = 0, .max_bad_share = 0.2});
  EXPECT_EQ(report.images, 12);
  ASSERT_EQ(report.left_out.size(), 2u);
  EXPECT_THAT(report.left_out[0].reason, HasSubstr("broken.jpg"));
  EXPECT_THAT(report.left_out[1].reason, AllOf(HasSubstr("cut.jpg"), HasSubstr("cut short")));
  const auto pack = open_pack(file());
  ASSERT_EQ(pack->size(), 12);
  for (std::int64_t i = 0; i < 12; ++i) {
    EXPECT_NO_THROW(pack->check(i));
    EXPECT_THAT(pack->name(i),
                ::testing::Not(::testing::AnyOf(HasSubstr("broken"), HasSubstr("cut"))));
  }
}

TEST_F(PackTest, TooManyBrokenPicturesFailAndLeaveTheOldPack) {
  write_raw();
  const std::string old = read_all(file());
  folder_.write("set/ant/broken.jpg", "no picture");
  set_ = open_image_folder(root());
  EXPECT_THAT(error_of([&] { write_raw(); }),
              AllOf(HasSubstr("1 of 13"), HasSubstr("broken.jpg"), HasSubstr("--max-bad-share")));
  EXPECT_EQ(read_all(file()), old);
  EXPECT_FALSE(fs::exists(file().string() + ".partial"));
}

TEST_F(PackTest, OptionsOutOfRangeAreRefused) {
  EXPECT_THAT(error_of([&] { write({.shorter = -1}); }), HasSubstr("shorter side"));
  EXPECT_THAT(error_of([&] { write({.quality = 0}); }), HasSubstr("quality"));
}

// --- finding them

TEST_F(PackTest, SplitsAreFoundBesideEachOther) {
  write_raw();
  fs::copy_file(file(), folder_ / "val.pack");
  const DataSource source{.path = folder_.path()};
  EXPECT_EQ(resolve_format(source), "pack");
  EXPECT_THAT(dataset_splits(source), ElementsAre("train", "val"));
  EXPECT_EQ(open_dataset(source, "train")->kind(), "pack");
  EXPECT_THAT(open_dataset(source, "test")->name(0), HasSubstr("val.pack"));
  EXPECT_THAT(open_dataset({.path = file()}, "val")->name(0), HasSubstr("val.pack"));
  EXPECT_THAT(open_dataset({.path = folder_ / "val.pack"}, "train")->name(0),
              HasSubstr("train.pack"));
  fs::remove(folder_ / "val.pack");
  EXPECT_THAT(error_of([&] { open_dataset(source, "val"); }),
              AllOf(HasSubstr("no split \"val\""), HasSubstr("val.pack")));
}

TEST_F(PackTest, AWordInTheNameNamesTheSplit) {
  write_raw();
  for (const char* name :
       {"birds-train-288.pack", "birds-test-288.pack", "contest.pack", "data.bin"})
    fs::copy_file(file(), folder_ / name);
  const DataSource birds{.path = folder_ / "birds-train-288.pack"};
  EXPECT_THAT(dataset_splits(birds), ElementsAre("train", "test"));
  EXPECT_THAT(open_dataset(birds, "val")->name(0), HasSubstr("birds-test-288.pack"));
  EXPECT_THAT(dataset_splits({.path = folder_ / "contest.pack"}), ElementsAre("train"));
  EXPECT_EQ(resolve_format({.path = folder_ / "data.bin"}), "pack");
  EXPECT_EQ(open_dataset({.path = folder_ / "data.bin"}, "train")->size(), 12);
  EXPECT_THAT(error_of([&] { open_dataset({.path = folder_ / "contest.pack"}, "val"); }),
              HasSubstr("no split"));
}

}  // namespace
}  // namespace invp
