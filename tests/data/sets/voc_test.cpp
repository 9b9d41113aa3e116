// Files in the exact form of PASCAL VOC's and Places205's, whole and broken; ten crops.
#include "data/sets/voc.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>

#include "data/images/transform.h"
#include "data/sets/open_dataset.h"
#include "data/sets/pack_dataset.h"
#include "data/sets/pack_writer.h"
#include "data/sets/places205.h"
#include "data/sets/ten_crops.h"
#include "engine/core/error.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::TempFolder;

/// A binary PPM, rows of rising bytes.
std::string picture(int width, int height, int first) {
  std::string bytes = "P6\n" + std::to_string(width) + " " + std::to_string(height) + "\n255\n";
  for (int i = 0; i < width * height * 3; ++i) bytes += static_cast<char>((first + i) % 256);
  return bytes;
}

constexpr std::array kNames = {"aeroplane",   "bicycle", "bird",  "boat",      "bottle",
                               "bus",         "car",     "cat",   "chair",     "cow",
                               "diningtable", "dog",     "horse", "motorbike", "person",
                               "pottedplant", "sheep",   "sofa",  "train",     "tvmonitor"};

/// A devkit of pictures 000005, 000007 and 000009: the first is a bird and a difficult bus, the
/// second a person, the third a train that the bird's file forgets.
class Devkit {
 public:
  explicit Devkit(const std::string& split) : split_(split) {
    write(split + ".txt", "000005\n000007 \r\n\n000009");
    for (const std::string name : kNames) {
      const auto flag = [&](const char* positive) { return name == positive ? " 1" : "-1"; };
      const std::string bus = name == "bus" ? " 0" : flag("bird");
      std::string text = "000005 " + bus + "\n000007 " + flag("person") + "\r\n";
      if (name != "bird") text += std::string("000009 ") + flag("train") + "\n";
      write(name + "_" + split + ".txt", text);
    }
    for (const char* id : {"000005", "000007", "000009"})
      folder_.write("VOCdevkit/VOC2007/JPEGImages/" + std::string(id) + ".jpg", picture(2, 1, 7));
  }
  void write(const std::string& name, const std::string& text) const {
    folder_.write("VOCdevkit/VOC2007/ImageSets/Main/" + name, text);
  }
  const std::filesystem::path& path() const { return folder_.path(); }
  std::filesystem::path year() const { return folder_ / "VOCdevkit/VOC2007"; }
  std::string error() const {
    return error_of([&] { open_voc(year(), split_); });
  }

 private:
  TempFolder folder_;
  std::string split_;
};

TEST(Voc, ReadsWhatEachPictureShows) {
  const Devkit kit("trainval");
  const auto set = open_voc(*find_voc(kit.path()), "trainval");
  ASSERT_EQ(set->size(), 3);
  EXPECT_EQ(set->kind(), "voc");
  EXPECT_THAT(set->classes(), ::testing::ElementsAreArray(kNames));
  EXPECT_EQ(set->name(1), (kit.year() / "JPEGImages/000007.jpg").string());
  EXPECT_EQ(set->load(2).width, 2);
  for (std::size_t c = 0; c < kNames.size(); ++c) {
    const std::string name = kNames[c];
    EXPECT_EQ(set->presences(0)[c], name == "bird"  ? Presence::kPresent
                                    : name == "bus" ? Presence::kUnclear
                                                    : Presence::kAbsent);
    EXPECT_EQ(set->presences(1)[c], name == "person" ? Presence::kPresent : Presence::kAbsent);
    EXPECT_EQ(set->presences(2)[c], name == "bird"    ? Presence::kUnclear
                                    : name == "train" ? Presence::kPresent
                                                      : Presence::kAbsent);
  }
  EXPECT_EQ(set->label(0), 2);
  EXPECT_EQ(set->label(1), 14);
}

TEST(Voc, IsFoundFromAnyOfItsFolders) {
  const Devkit kit("trainval");
  for (const auto& path : {kit.path(), kit.path() / "VOCdevkit", kit.year()}) {
    EXPECT_EQ(find_voc(path), kit.year());
    EXPECT_EQ(resolve_format({.path = path}), "voc");
  }
  EXPECT_FALSE(find_voc(kit.year() / "JPEGImages").has_value());
}

TEST(Voc, TrainsOnTrainvalWhereThereIsATestSplit) {
  const Devkit kit("trainval");
  const DataSource source{.path = kit.path()};
  EXPECT_THAT(dataset_splits(source), ElementsAre());
  EXPECT_THAT(error_of([&] { open_dataset(source, "train"); }), HasSubstr("trainval.txt and test"));
  for (const std::string split : {"test", "train", "val"}) {
    kit.write(split + ".txt", split == "train" ? "000005\n" : "000007\n");
    for (const std::string name : kNames)
      kit.write(name + "_" + split + ".txt", split == "train" ? "000005 1\n" : "000007  1\n");
  }
  EXPECT_THAT(dataset_splits(source), ElementsAre("train", "test"));
  EXPECT_EQ(open_dataset(source, "train")->size(), 3);
  EXPECT_EQ(open_dataset(source, "val")->size(), 1);
  std::filesystem::remove(kit.year() / "ImageSets/Main/test.txt");
  EXPECT_THAT(dataset_splits(source), ElementsAre("train", "val"));
  EXPECT_EQ(open_dataset(source, "train")->size(), 1);
}

TEST(Voc, NamesTheLineThatIsWrong) {
  const Devkit kit("test");
  for (const char* line : {"000007", "000007 2", "000007 1 1", "000007 one"}) {
    kit.write("cow_test.txt", std::string("000005 -1\n") + line + "\n");
    EXPECT_THAT(kit.error(), AllOf(HasSubstr("cow_test.txt"), HasSubstr("line 2"))) << line;
  }
  kit.write("cow_test.txt", "000006 1\n");
  EXPECT_THAT(kit.error(), AllOf(HasSubstr("000006"), HasSubstr("not in test.txt")));
  std::filesystem::remove(kit.year() / "ImageSets/Main/cow_test.txt");
  EXPECT_THAT(kit.error(), AllOf(HasSubstr("19 files"), HasSubstr("20 classes")));
  kit.write("test.txt", "000005\n000005\n");
  EXPECT_THAT(kit.error(), AllOf(HasSubstr("line 2"), HasSubstr("second time")));
  kit.write("test.txt", "000005 000007\n");
  EXPECT_THAT(kit.error(), HasSubstr("line 1"));
  kit.write("test.txt", "\n");
  EXPECT_THAT(kit.error(), HasSubstr("empty"));
}

TEST(Voc, RefusesAPictureOfNothing) {
  const Devkit kit("test");
  kit.write("person_test.txt", "000005 -1\n000007 -1\n000009 -1\n");
  EXPECT_THAT(kit.error(), AllOf(HasSubstr("000007"), HasSubstr("no class")));
}

TEST(Voc, KeepsInAPackWhatItsPicturesShow) {
  const Devkit kit("trainval");
  const auto set = open_voc(kit.year(), "trainval");
  const TempFolder folder;
  write_pack(*set, folder / "train.pack", {.raw = true}, [](std::int64_t, std::int64_t) {});
  const auto pack = open_pack(folder / "train.pack");
  EXPECT_EQ(pack->origin(), "voc");
  ASSERT_EQ(pack->size(), 3);
  for (std::int64_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(std::ranges::equal(pack->presences(i), set->presences(i))) << i;
    EXPECT_EQ(pack->load(i), set->load(i));
  }
}

TEST(Places205, ReadsTheArchivesAndTheListsFolders) {
  const TempFolder folder;
  const std::string images = "data/vision/torralba/deeplearning/images256/";
  folder.write(images + "a/abbey/gsun_0a1b.jpg", picture(2, 2, 1));
  folder.write(images + "y/yard/x.jpg", picture(2, 2, 9));
  folder.write("trainvalsplit_places205/train_places205.csv",
               "a/abbey/gsun_0a1b.jpg 0\ny/yard/x.jpg 204\r\n");
  folder.write("trainvalsplit_places205/val_places205.csv", "y/yard/x.jpg 204\n");
  const DataSource source{.path = folder.path()};
  EXPECT_EQ(resolve_format(source), "places205");
  EXPECT_THAT(dataset_splits(source), ElementsAre("train", "val"));
  const auto train = open_dataset(source, "train");
  ASSERT_EQ(train->size(), 2);
  ASSERT_EQ(train->classes().size(), 205U);
  EXPECT_EQ(train->classes()[204], "y/yard");
  EXPECT_EQ(train->classes()[1], "1");
  EXPECT_EQ(train->label(1), 204);
  EXPECT_EQ(train->load(1).pixels[0], 9);
  EXPECT_EQ(open_dataset(source, "test")->size(), 1);
}

TEST(Places205, TakesPicturesBesideTheLists) {
  const TempFolder folder;
  folder.write("images256/a/abbey/1.jpg", picture(1, 1, 3));
  folder.write("train_places205.csv", "a/abbey/1.jpg 3\n");
  EXPECT_EQ(open_places205(folder.path(), "train")->load(0).pixels[0], 3);
}

TEST(Places205, SaysWhatIsWrong) {
  const TempFolder folder;
  folder.write("images256/a.jpg", picture(1, 1, 3));
  const auto says = [&] { return error_of([&] { open_places205(folder.path(), "train"); }); };
  EXPECT_THAT(says(), HasSubstr("train_places205.csv"));
  folder.write("train_places205.csv", "a.jpg 205\n");
  EXPECT_THAT(says(), AllOf(HasSubstr("label 205"), HasSubstr("0 to 204")));
  folder.write("train_places205.csv", "a.jpg 1\na.jpg\n");
  EXPECT_THAT(says(), HasSubstr("line 2"));
  folder.write("train_places205.csv", "b.jpg 1\n");
  EXPECT_THAT(says(), AllOf(HasSubstr("b.jpg"), HasSubstr("no such file")));
}

TEST(TenCropsOf, ArePicturesOfTheirOwn) {
  const TempFolder folder;
  const auto list = folder.write("train.txt", "a.ppm 1\nb.ppm 0\n");
  folder.write("a.ppm", picture(9, 7, 1));
  folder.write("b.ppm", picture(5, 12, 50));
  const auto set = open_dataset({.path = list}, "train");
  const TenCrops crops(*set, 6, 4);
  ASSERT_EQ(crops.size(), 20);
  EXPECT_EQ(crops.label(9), 1);
  EXPECT_EQ(crops.label(10), 0);
  EXPECT_EQ(crops.name(13), set->name(1));
  for (std::int64_t i = 0; i < 2; ++i) {
    const std::vector<Image> expected = ten_crop(resize_shorter(set->load(i), 6), 4);
    for (std::int64_t k = 0; k < 10; ++k)
      EXPECT_EQ(crops.load(10 * i + k), expected[static_cast<std::size_t>(k)]) << i << ' ' << k;
  }
  Sample reused;
  for (const std::int64_t index : {0, 1, 9, 10, 19, 2, 12}) {
    crops.fetch(index, reused);
    EXPECT_EQ(reused.drawn, crops.load(index)) << index;
  }
  EXPECT_THROW(TenCrops(*set, 3, 4), Error);
}

}  // namespace
}  // namespace invp
