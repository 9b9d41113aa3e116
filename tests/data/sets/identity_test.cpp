// The identity of each kind of set: the same wherever the set lies, another one after any change.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <set>

#include "data/sets/cifar.h"
#include "data/sets/fine_grained.h"
#include "data/sets/image_folder.h"
#include "data/sets/open_dataset.h"
#include "data/sets/pack_dataset.h"
#include "data/sets/pack_writer.h"
#include "data/sets/subset.h"
#include "data/sets/synthetic_dataset.h"
#include "data/sets/ten_crops.h"
#include "data/sets/voc.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {
namespace {

namespace fs = std::filesystem;

using Write = std::function<void(const TempFolder&)>;
using Open = std::function<std::unique_ptr<Dataset>(const fs::path&)>;

/// The identity of what `write` puts into a folder of its own.
std::string identity(const Write& write, const Open& open, const Write& change = {}) {
  const TempFolder folder;
  write(folder);
  if (change) change(folder);
  return open(folder.path())->identity();
}

/// The same in two folders; different after each of the changes, and after no two the same.
void expect_identity(const Write& write, const Open& open, const std::vector<Write>& changes) {
  const std::string expected = identity(write, open);
  EXPECT_EQ(expected.size(), 16u);
  EXPECT_EQ(identity(write, open), expected);
  std::set<std::string> met{expected};
  for (std::size_t i = 0; i < changes.size(); ++i)
    EXPECT_TRUE(met.insert(identity(write, open, changes[i])).second) << "change " << i;
}

Write writes(const char* name, const std::string& content) {
  return [=](const TempFolder& folder) { folder.write(name, content); };
}
Write removes(const char* name) {
  return [=](const TempFolder& folder) { fs::remove_all(folder / name); };
}
Write renames(const char* from, const char* to) {
  return [=](const TempFolder& folder) { fs::rename(folder / from, folder / to); };
}

std::unique_ptr<Dataset> open_folder(const fs::path& path) {
  return open_image_folder(path);
}

void write_folder(const TempFolder& folder) {
  for (const char* name : {"ant/1.jpg", "ant/2.jpg", "bee/1.jpg", "bee/2.jpg"})
    folder.write(name, std::string("content"));
}

TEST(Identity, OfAnImageFolder) {
  expect_identity(
      write_folder, open_folder,
      {writes("bee/3.jpg", "content"), removes("bee/1.jpg"), removes("ant"),
       renames("bee/1.jpg", "bee/0.jpg"), renames("bee/2.jpg", "ant/3.jpg"), renames("bee", "wasp"),
       writes("bee/2.jpg", "longer content"), writes("bee/2.jpg", "")});
}

TEST(Identity, DependsOnNoTimeAndIsKept) {
  const TempFolder folder;
  write_folder(folder);
  const auto before = open_folder(folder.path());
  const std::string expected = before->identity();
  fs::last_write_time(folder / "bee/1.jpg",
                      fs::file_time_type::clock::now() - std::chrono::years(3));
  EXPECT_EQ(open_folder(folder.path())->identity(), expected);
  folder.write("bee/1.jpg", "another size");
  EXPECT_EQ(before->identity(), expected) << "was computed before";
  EXPECT_NE(open_folder(folder.path())->identity(), expected);
}

TEST(Identity, OfAFileThatIsGoneIsNotThatOfAnEmptyOne) {
  const TempFolder folder;
  write_folder(folder);
  const auto gone = open_folder(folder.path());
  fs::remove(folder / "bee/2.jpg");
  const auto empty = open_folder(folder.path());
  EXPECT_NE(gone->identity(), empty->identity());
  folder.write("bee/2.jpg", "");
  EXPECT_NE(gone->identity(), open_folder(folder.path())->identity());
}

TEST(Identity, OfAList) {
  const auto write = [](const TempFolder& folder) {
    write_folder(folder);
    folder.write("train.txt", "ant/1.jpg 0\nant/2.jpg 0\nbee/1.jpg 1\n");
  };
  const auto list = [](const std::string& text) { return writes("train.txt", text); };
  expect_identity(
      write, [](const fs::path& path) { return open_dataset({.path = path}, "train"); },
      {list("ant/1.jpg 0\nant/2.jpg 0\n"), list("ant/1.jpg 0\nant/2.jpg 1\nbee/1.jpg 1\n"),
       list("ant/2.jpg 0\nant/1.jpg 0\nbee/1.jpg 1\n"),
       list("ant/1.jpg 0\nant/2.jpg 0\nbee/2.jpg 1\n"),
       list("ant/1.jpg 0\nant/2.jpg 0\nbee/1.jpg 2\n"), writes("bee/1.jpg", "longer content")});
  // A file that the list does not name is not of the set.
  EXPECT_EQ(
      identity(write, [](const fs::path& path) { return open_dataset({.path = path}, "train"); }),
      identity(
          write, [](const fs::path& path) { return open_dataset({.path = path}, "train"); },
          writes("bee/2.jpg", "longer content")));
}

TEST(Identity, OfPlaces205) {
  const auto write = [](const TempFolder& folder) {
    folder.write("images256/a/abbey/1.jpg", "content");
    folder.write("images256/b/bay/1.jpg", "content");
    folder.write("train_places205.csv", "a/abbey/1.jpg 0\nb/bay/1.jpg 12\n");
  };
  expect_identity(write, [](const fs::path& path) { return open_dataset({.path = path}, "train"); },
                  {writes("images256/b/bay/1.jpg", "longer content"),
                   writes("train_places205.csv", "a/abbey/1.jpg 0\nb/bay/1.jpg 11\n"),
                   writes("train_places205.csv", "a/abbey/1.jpg 0\n")});
}

TEST(Identity, OfVoc) {
  const auto set_of = [](const std::string& name) { return "ImageSets/Main/" + name + ".txt"; };
  const auto write = [&](const TempFolder& folder) {
    folder.write(set_of("train"), "01\n02\n");
    for (int c = 0; c < kVocClasses; ++c) {
      folder.write(set_of("class" + std::to_string(c) + "_train"),
                   c == 0 ? "01 1\n02 1\n" : "01 -1\n02 -1\n");
    }
    folder.write("JPEGImages/01.jpg", "content");
    folder.write("JPEGImages/02.jpg", "content");
  };
  const std::string other = set_of("class7_train");
  expect_identity(write, [](const fs::path& path) { return open_voc(path, "train"); },
                  {writes("JPEGImages/02.jpg", "longer content"),
                   writes(other.c_str(), "01 1\n02 -1\n"), writes(other.c_str(), "01 0\n02 -1\n"),
                   renames(other.c_str(), set_of("class70_train").c_str())});
}

TEST(Identity, OfFineGrainedSets) {
  const auto pets = [](const TempFolder& folder) {
    folder.write("images/beagle_1.jpg", "content");
    folder.write("images/sphynx_2.jpg", "content");
    folder.write("annotations/trainval.txt", "beagle_1 1 1 1\nsphynx_2 2 2 2\n");
  };
  expect_identity(pets, [](const fs::path& path) { return open_pets(path, true); },
                  {writes("images/sphynx_2.jpg", "longer content"),
                   writes("annotations/trainval.txt", "beagle_1 1 1 1\n"),
                   writes("annotations/trainval.txt", "beagle_1 1 1 1\nsphynx_2 3 2 2\n")});
  for (const bool train : {true, false}) {
    expect_identity(
        [](const TempFolder& folder) {
          for (int i = 0; i < 40; ++i)
            folder.write("crab/" + std::to_string(100 + i) + ".jpg", "content");
        },
        [&](const fs::path& path) { return open_caltech101(path, train); },
        // Of 40 images 30 train; the identity is that of the whole folder and of the choice.
        {writes("crab/139.jpg", "longer content"), writes("crab/140.jpg", "content"),
         renames("crab", "lobster")});
  }
  const TempFolder folder;
  for (int i = 0; i < 40; ++i) folder.write("crab/" + std::to_string(100 + i) + ".jpg", "content");
  EXPECT_NE(open_caltech101(folder.path(), true, 0)->identity(),
            open_caltech101(folder.path(), true, 1)->identity());
}

std::string cifar_records(int label, char pixel) {
  return static_cast<char>(label) + std::string(3072, pixel) + '\x01' + std::string(3072, 'y');
}

TEST(Identity, OfCifar) {
  const auto open = [](const fs::path& path) { return open_cifar(path, Cifar::k10, false); };
  expect_identity(
      writes("test.bin", cifar_records(0, 'x')), open,
      {writes("test.bin", cifar_records(0, 'z')), writes("test.bin", cifar_records(2, 'x')),
       writes("test.bin", cifar_records(0, 'x') + cifar_records(0, 'x')),
       renames("test.bin", "test_batch.bin"),
       writes("batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n")});
  // The five batches in another order of their names hold other images.
  const auto batches = [](const TempFolder& folder) {
    for (int i = 1; i <= 5; ++i) {
      folder.write("data_batch_" + std::to_string(i) + ".bin",
                   cifar_records(i, static_cast<char>(i)));
    }
  };
  expect_identity(batches, [](const fs::path& path) { return open_cifar(path, Cifar::k10, true); },
                  {writes("data_batch_2.bin", cifar_records(3, '\x03'))});
}

/// Four small images as files that can be decoded.
void write_ppms(const TempFolder& folder) {
  for (const char* name : {"set/ant/1.ppm", "set/ant/2.ppm", "set/bee/1.ppm"})
    folder.write(name, "P6\n2 1\n255\nabcdef");
}

TEST(Identity, OfAPack) {
  const auto open = [](const fs::path& path) {
    write_pack(*open_image_folder(path / "set"), path / "train.pack",
               {.raw = true, .root = path / "set"}, [](std::int64_t, std::int64_t) {});
    return open_pack(path / "train.pack");
  };
  expect_identity(write_ppms, open,
                  {writes("set/bee/1.ppm", "P6\n2 1\n255\nabcdeg"),
                   writes("set/bee/1.ppm", "P6\n1 2\n255\nabcdef"),
                   writes("set/bee/2.ppm", "P6\n2 1\n255\nabcdef"), removes("set/ant/2.ppm"),
                   renames("set/ant/2.ppm", "set/ant/3.ppm"), renames("set/bee", "set/wasp"),
                   renames("set/ant/2.ppm", "set/bee/0.ppm")});
}

TEST(Identity, OfAPackDoesNotDependOnItsName) {
  const TempFolder folder;
  write_ppms(folder);
  write_pack(*open_image_folder(folder / "set"), folder / "train.pack", {.root = folder / "set"},
             [](std::int64_t, std::int64_t) {});
  const std::string expected = open_pack(folder / "train.pack")->identity();
  fs::rename(folder / "train.pack", folder / "birds.pack");
  EXPECT_EQ(open_pack(folder / "birds.pack")->identity(), expected);
}

TEST(Identity, OfTheSyntheticSet) {
  const SyntheticOptions options{.classes = 5, .size = 16, .seed = 3};
  const auto identity_of = [](const SyntheticOptions& set, SyntheticSplit split, int count) {
    return open_synthetic(set, split, count)->identity();
  };
  const std::string expected = identity_of(options, SyntheticSplit::kTrain, 20);
  EXPECT_EQ(identity_of(options, SyntheticSplit::kTrain, 20), expected);
  std::set<std::string> met{expected, identity_of(options, SyntheticSplit::kVal, 20),
                            identity_of(options, SyntheticSplit::kTrain, 21)};
  for (const SyntheticOptions& other : {SyntheticOptions{.classes = 6, .size = 16, .seed = 3},
                                        SyntheticOptions{.classes = 5, .size = 17, .seed = 3},
                                        SyntheticOptions{.classes = 5, .size = 16, .seed = 4}})
    met.insert(identity_of(other, SyntheticSplit::kTrain, 20));
  EXPECT_EQ(met.size(), 6u);
}

TEST(Identity, OfASubsetAndOfTenCrops) {
  const TempFolder folder;
  write_folder(folder);
  const auto set = open_folder(folder.path());
  const std::string expected = subset(*set, {0, 2})->identity();
  EXPECT_EQ(subset(*open_folder(folder.path()), {0, 2})->identity(), expected);
  std::set<std::string> met{expected, set->identity()};
  for (const std::vector<std::int64_t>& others :
       std::vector<std::vector<std::int64_t>>{{0, 3}, {1, 2}, {2, 0}, {0}, {0, 1, 2, 3}, {}})
    EXPECT_TRUE(met.insert(subset(*set, others)->identity()).second);
  EXPECT_EQ(TenCrops(*set, 20, 16).identity(), TenCrops(*set, 20, 16).identity());
  EXPECT_TRUE(met.insert(TenCrops(*set, 20, 16).identity()).second);
  EXPECT_TRUE(met.insert(TenCrops(*set, 21, 16).identity()).second);
  EXPECT_TRUE(met.insert(TenCrops(*set, 20, 17).identity()).second);
  folder.write("bee/2.jpg", "longer content");  // not chosen, but of the base
  EXPECT_NE(subset(*open_folder(folder.path()), {0, 2})->identity(), expected);
}

}  // namespace
}  // namespace invp::testing
