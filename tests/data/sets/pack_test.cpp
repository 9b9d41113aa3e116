// Packs: what is written is what is read, damage anywhere is named, and the loader cannot tell a
// pack of pixels from the files.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <functional>

#include "data/images/decode.h"
#include "data/images/encode.h"
#include "data/images/transform.h"
#include "data/load/loader.h"
#include "data/sets/image_folder.h"
#include "data/sets/open_dataset.h"
#include "data/sets/pack_dataset.h"
#include "data/sets/pack_format.h"
#include "data/sets/pack_writer.h"
#include "engine/core/error.h"
#include "engine/core/parallel.h"
#include "tests/data/golden.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::read_all;
using testing::TempFolder;

std::string text_of(const std::vector<std::uint8_t>& bytes) {
  return {bytes.begin(), bytes.end()};
}

/// Two classes of JPEG and PNG, some of them large.
class PackTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string files = folder_.path().string() + "/set/";
    fs::create_directories(files);
    for (int i = 0; i < 12; ++i) {
      const Image image = test::photo_like(40 + 7 * i, 90 - 4 * i, static_cast<std::uint64_t>(i));
      const std::string name = (i % 3 == 0 ? "ant/" : "bee/") + std::to_string(100 + i);
      folder_.write("set/" + name + (i % 4 == 3 ? ".png" : ".jpg"),
                    text_of(i % 4 == 3 ? encode_png(image) : encode_jpeg(image)));
    }
    set_ = open_image_folder(root());
  }

  fs::path root() const { return folder_ / "set"; }
  fs::path file() const { return folder_ / "train.pack"; }
  PackReport write(PackOptions options) const {
    options.root = root();
    return write_pack(*set_, file(), options, [](std::int64_t, std::int64_t) {});
  }
  PackReport write_raw() const { return write({.raw = true, .shorter = 0}); }
  std::string opening_says() const {
    return error_of([&] { open_pack(file()); });
  }
  /// The pack with `change` done to its bytes.
  void damage(const std::function<void(std::string&)>& change) const {
    std::string bytes = read_all(file());
    change(bytes);
    folder_.write("train.pack", bytes);
  }
  /// The same for its header, which then has its right checksum again.
  void forge(const std::function<void(PackHeader&)>& change) const;

  TempFolder folder_;
  std::unique_ptr<Dataset> set_;
};

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
  Loader loader(set, augment, {.batch_size = 5, .workers = 2, .seed = 3});
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

// --- damage

TEST_F(PackTest, ACutFileIsNamedAtEveryLength) {
  write({.shorter = 20, .quality = 30});
  const std::string whole = read_all(file());
  for (std::size_t length = 0; length < whole.size(); length += length < 80 ? 1 : 251) {
    folder_.write("train.pack", whole.substr(0, length));
    EXPECT_THAT(opening_says(),
                AllOf(HasSubstr(file().string()),
                      HasSubstr("at byte " + std::to_string(length) + ": the file ends here"),
                      HasSubstr("write it again with invp data pack")));
  }
  folder_.write("train.pack", whole + "x");
  EXPECT_THAT(opening_says(),
              HasSubstr("at byte " + std::to_string(whole.size()) + ": the file ends beyond this"));
}

TEST_F(PackTest, AChangedByteIsFoundWhereverItIs) {
  write({.shorter = 20, .quality = 30});
  const std::string whole = read_all(file());
  PackHeader header;
  std::memcpy(&header, whole.data(), sizeof header);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    const bool in_pictures = at >= sizeof header && at < header.index_offset;
    if (in_pictures && at % 97 != 0) continue;
    std::string bytes = whole;
    bytes[at] ^= 0x10;
    folder_.write("train.pack", bytes);
    if (!in_pictures) {
      EXPECT_THAT(opening_says(), AllOf(HasSubstr(file().string()), HasSubstr("at byte"),
                                        HasSubstr("invp data pack")))
          << at;
      continue;
    }
    const auto pack = open_pack(file());
    int found = 0;
    for (std::int64_t i = 0; i < pack->size(); ++i) {
      try {
        pack->check(i);
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), AllOf(HasSubstr("image " + std::to_string(i)),
                                        HasSubstr("does not have its checksum")));
        ++found;
      }
    }
    EXPECT_EQ(found, 1) << at;
  }
}

void PackTest::forge(const std::function<void(PackHeader&)>& change) const {
  damage([&](std::string& bytes) {
    PackHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    change(header);
    header.header_crc = pack_crc(std::as_bytes(std::span(&header, 1)).first(60));
    std::memcpy(bytes.data(), &header, sizeof header);
  });
}

TEST_F(PackTest, OtherFilesAndVersionsAreNamed) {
  folder_.write("train.pack", std::string(200, 'x'));
  EXPECT_THAT(opening_says(), AllOf(HasSubstr("at byte 0"), HasSubstr("this is no pack")));
  write_raw();
  forge([](PackHeader& header) { header.version = 7; });
  EXPECT_THAT(opening_says(), AllOf(HasSubstr("at byte 8"), HasSubstr("version 7"),
                                    HasSubstr("reads version 1"), HasSubstr("write it again")));
}

// What a checksum cannot know: numbers that were written wrong in the first place.
TEST_F(PackTest, HeadersThatLieAreRefused) {
  write_raw();
  const std::string whole = read_all(file());
  const std::vector<std::function<void(PackHeader&)>> lies = {
      [](PackHeader& h) { h.index_offset = 3; },
      [](PackHeader& h) { h.index_offset = h.file_bytes + 1; },
      [](PackHeader& h) { h.index_offset += 1; },
      [](PackHeader& h) { h.images = 0; },
      [](PackHeader& h) { h.images = ~std::uint64_t{0}; },
      [](PackHeader& h) { h.images += 1; },
      [](PackHeader& h) { h.classes = 0; },
      [](PackHeader& h) { h.classes = 4'000'000; },
      [](PackHeader& h) { h.encoding = static_cast<PackEncoding>(2); },
      [](PackHeader& h) { h.file_bytes = 10; },
      [](PackHeader& h) { h.presences = 1; },
  };
  for (std::size_t i = 0; i < lies.size(); ++i) {
    folder_.write("train.pack", whole);
    forge(lies[i]);
    EXPECT_THAT(opening_says(), AllOf(HasSubstr("at byte"), HasSubstr(file().string()))) << i;
  }
}

TEST_F(PackTest, RecordsThatLieAreRefused) {
  write_raw();
  const std::string whole = read_all(file());
  const std::vector<std::function<void(PackRecord&)>> lies = {
      [](PackRecord& r) { r.offset = 3; },
      [](PackRecord& r) { r.offset = ~std::uint64_t{0}; },
      [](PackRecord& r) { r.bytes = ~0u; },
      [](PackRecord& r) { r.bytes = 0; },
      [](PackRecord& r) { r.width += 1; },
      [](PackRecord& r) { r.width = 0; },
      [](PackRecord& r) { r.height = 1u << 31; },
      [](PackRecord& r) { r.label = 2; },
      [](PackRecord& r) { r.name = ~0u; },
  };
  for (std::size_t i = 0; i < lies.size(); ++i) {
    folder_.write("train.pack", whole);
    PackHeader header;
    std::memcpy(&header, whole.data(), sizeof header);
    damage([&](std::string& bytes) {
      PackRecord record;
      char* at = bytes.data() + header.index_offset + 5 * sizeof record;
      std::memcpy(&record, at, sizeof record);
      lies[i](record);
      std::memcpy(at, &record, sizeof record);
      header.index_crc = pack_crc(std::as_bytes(std::span(bytes)).subspan(header.index_offset));
    });
    forge([&](PackHeader& h) { h.index_crc = header.index_crc; });
    EXPECT_THAT(opening_says(),
                AllOf(HasSubstr("at byte " + std::to_string(header.index_offset + 160)),
                      HasSubstr("the record of image 5")))
        << i;
  }
}

TEST_F(PackTest, AFileCutWhileItIsOpenIsAnError) {
  write_raw();
  const auto pack = open_pack(file());
  fs::resize_file(file(), 12'000);  // the first picture has 10,800 bytes
  EXPECT_EQ(pack->load(0), set_->load(0));
  EXPECT_THAT(error_of([&] { pack->load(1); }),
              AllOf(HasSubstr(file().string()), HasSubstr("at byte 12000"),
                    HasSubstr("leave it alone while it is in use")));
}

TEST_F(PackTest, AReplacedFileGoesOnAsItWas) {
  write_raw();
  const auto pack = open_pack(file());
  const Image before = pack->load(11);
  write({.raw = true, .shorter = 10});
  EXPECT_EQ(pack->load(11), before);
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
