// Folders as people have them: without labels, with what systems leave in them, packed, nested.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "data/sets/folder_listing.h"
#include "data/sets/image_folder.h"
#include "data/sets/open_dataset.h"
#include "engine/core/error.h"
#include "engine/files/file_reader.h"
#include "tests/data/sets/files.h"

namespace invp::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> names_in(const Dataset& set, const fs::path& root) {
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < set.size(); ++i)
    names.push_back(fs::path(set.name(i)).lexically_relative(root).string());
  return names;
}

// --- no labels

TEST(Folders, PicturesWithoutClassFoldersHaveNoLabels) {
  const TempFolder folder;
  write_pictures(folder, {"b.jpg", "a.PNG", "notes.txt"});
  const DataSource source{.path = folder.path()};
  EXPECT_EQ(resolve_format(source), "imagefolder");
  EXPECT_THAT(dataset_splits(source), ElementsAre("train"));
  const auto set = open_dataset(source, "train");
  EXPECT_FALSE(set->has_labels());
  EXPECT_THAT(names_in(*set, folder.path()), ElementsAre("a.PNG", "b.jpg"));
  EXPECT_THAT(labels_of(*set), Each(-1));
  EXPECT_THAT(set->why_no_labels(), AllOf(HasSubstr(folder.path().string()), HasSubstr("/CLASS/")));
  EXPECT_THAT(set->left_out(), HasSubstr("notes.txt"));
}

TEST(Folders, PicturesBesideFoldersMakeThemNoClasses) {
  const TempFolder folder;
  write_pictures(folder, {"z.jpg", "2019/a.jpg", "2019/may/b.jpg", "2020/c.jpg"});
  const auto set = open_dataset({.path = folder.path()}, "train");
  EXPECT_THAT(names_in(*set, folder.path()),
              ElementsAre("z.jpg", "2019/a.jpg", "2019/may/b.jpg", "2020/c.jpg"));
  EXPECT_FALSE(set->has_labels());
  EXPECT_THAT(set->why_no_labels(), AllOf(HasSubstr("z.jpg"), HasSubstr("move")));
}

TEST(Folders, FlatSplitsHaveNoLabels) {
  const TempFolder folder;
  write_pictures(folder, {"train/1.jpg", "train/2.jpg", "test/3.jpg"});
  const DataSource source{.path = folder.path()};
  EXPECT_THAT(dataset_splits(source), ElementsAre("train", "test"));
  EXPECT_EQ(open_dataset(source, "train")->size(), 2);
  EXPECT_FALSE(open_dataset(source, "val")->has_labels());
}

// --- splits

TEST(Folders, SplitsAreFoundByAnyOfTheirNames) {
  for (const char* train : {"train", "Train", "TRAINING", "training"}) {
    for (const char* val : {"val", "Val", "valid", "Validation", "test", "Testing"}) {
      const TempFolder folder;
      write_pictures(folder, {std::string(train) + "/a/1.jpg", std::string(train) + "/b/2.jpg",
                              std::string(val) + "/a/3.jpg"});
      const DataSource source{.path = folder.path()};
      EXPECT_THAT(dataset_splits(source),
                  ElementsAre("train", std::string_view(val).starts_with("v") ||
                                               std::string_view(val).starts_with("V")
                                           ? "val"
                                           : "test"));
      EXPECT_THAT(open_dataset(source, "train")->classes(), ElementsAre("a", "b"));
      EXPECT_EQ(open_dataset(source, "val")->size(), 1);
    }
  }
}

TEST(Folders, ValIsEvaluatedOnBesideTest) {
  const TempFolder folder;
  write_pictures(folder, {"train/a/1.jpg", "valid/a/2.jpg", "Test/a/3.jpg", "Test/a/4.jpg"});
  const DataSource source{.path = folder.path()};
  EXPECT_THAT(dataset_splits(source), ElementsAre("train", "val", "test"));
  EXPECT_EQ(open_dataset(source, "val")->size(), 1);
  EXPECT_EQ(open_dataset(source, "test")->size(), 2);
}

TEST(Folders, SplitsAloneAreNoClasses) {
  const TempFolder folder;
  write_pictures(folder, {"val/a/1.jpg", "Testing/a/2.jpg"});
  const DataSource source{.path = folder.path()};
  EXPECT_THAT(dataset_splits(source), ElementsAre("val", "test"));
  EXPECT_THAT(error_of([&] { open_dataset(source, "train"); }), HasSubstr("no split \"train\""));
}

TEST(Folders, FoldersBesideTheSplitsAreTold) {
  const TempFolder folder;
  write_pictures(folder, {"train/a/1.jpg", "val/a/2.jpg", "devkit/x.jpg", ".git/y.jpg"});
  EXPECT_THAT(open_dataset({.path = folder.path()}, "train")->left_out(),
              AllOf(HasSubstr("1 folder beside the splits (devkit)")));
}

// --- what is left out

TEST(Folders, WhatSystemsLeaveIsNeitherClassNorPicture) {
  const TempFolder folder;
  for (const char* name : {".ipynb_checkpoints", "__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN",
                           ".thumbnails", "System Volume Information", ".hidden"}) {
    EXPECT_TRUE(is_clutter(name)) << name;
    write_pictures(folder, {std::string(name) + "/1.jpg", std::string("a/") + name + "/2.jpg"});
  }
  write_pictures(folder, {"a/1.jpg", "a/._1.jpg", "a/.DS_Store", "a/Thumbs.db", "a/desktop.ini",
                          "b/2.jpg", "b/2.txt", "empty/readme.md", ".DS_Store"});
  const auto set = open_image_folder(folder.path());
  EXPECT_THAT(set->classes(), ElementsAre("a", "b"));
  EXPECT_THAT(names_in(*set, folder.path()), ElementsAre("a/1.jpg", "b/2.jpg"));
  EXPECT_THAT(set->left_out(),
              AllOf(HasSubstr("21 hidden or system entries"),
                    HasSubstr("2 files without the ending of a picture (2.txt, ...)"),
                    HasSubstr("1 folder without pictures (empty)")));
  EXPECT_EQ(open_image_folder(folder / "b")->left_out(),
            "1 file without the ending of a picture (2.txt)");
  for (const char* name : {"a", "x.jpg", "train", "macosx", "thumbs"})
    EXPECT_FALSE(is_clutter(name)) << name;
}

TEST(Folders, LinksToFoldersAboveAreLeftOut) {
  const TempFolder folder;
  write_pictures(folder, {"a/1.jpg", "b/2.jpg", "elsewhere/deep/3.jpg"});
  fs::create_directory_symlink(folder.path(), folder / "a/up");
  fs::create_directory_symlink(folder.path(), folder / "b/up");
  fs::create_directory_symlink(folder / "elsewhere/deep", folder / "b/linked");
  const auto set = open_image_folder(folder.path());
  EXPECT_THAT(names_in(*set, folder.path()),
              ElementsAre("a/1.jpg", "b/2.jpg", "b/linked/3.jpg", "elsewhere/deep/3.jpg"));
  EXPECT_THAT(set->left_out(), HasSubstr("2 links to a folder above them (a/up, ...)"));
}

TEST(Folders, WhatIsNoOrdinaryFileIsToldWhenItIsRead) {
  const TempFolder folder;
  write_pictures(folder, {"a/1.jpg"});
  ASSERT_EQ(::mkfifo((folder / "a/2.jpg").c_str(), 0600), 0);
  fs::create_symlink(folder / "gone", folder / "a/3.jpg");
  fs::create_symlink(folder / "a/4.jpg", folder / "a/4.jpg");
  const auto set = open_image_folder(folder.path());
  ASSERT_EQ(set->size(), 4);
  EXPECT_THAT(error_of([&] { set->check(1); }),
              AllOf(HasSubstr("2.jpg"), HasSubstr("no ordinary file")));
  EXPECT_THAT(error_of([&] { set->check(2); }), HasSubstr("No such file"));
  EXPECT_THAT(error_of([&] { set->check(3); }), HasSubstr("symbolic links"));
  EXPECT_THAT(error_of([&] { open_dataset({.path = folder / "a/2.jpg"}, "train"); }),
              HasSubstr("no ordinary file"));
  EXPECT_THAT(error_of([&] { open_dataset({.path = folder / "a/4.jpg"}, "train"); }),
              HasSubstr("symbolic links"));
}

// --- packed and nested

TEST(Folders, ArchivesAreToBeUnpacked) {
  struct Archive {
    std::string name, command;
  };
  for (const Archive& archive :
       {Archive{"car_ims.tgz", "tar -xf '"}, Archive{"ILSVRC2012_img_val.tar", "tar -xf '"},
        Archive{"deep/101_ObjectCategories.tar.gz", "tar -xf '"}, Archive{"archive.ZIP", "unzip '"},
        Archive{"train.7z", "7z x '"}}) {
    const TempFolder folder;
    const fs::path file = folder.write(archive.name, "packed");
    EXPECT_THAT(error_of([&] { open_dataset({.path = folder.path()}, "train"); }),
                AllOf(HasSubstr(file.filename().string() + " is still packed"),
                      HasSubstr(archive.command + file.string())));
    EXPECT_THAT(error_of([&] { open_dataset({.path = file}, "train"); }),
                AllOf(HasSubstr("is an archive"), HasSubstr(archive.command)));
  }
}

TEST(Folders, AFolderAloneInItsFolderIsLookedInto) {
  const TempFolder folder;
  write_pictures(folder, {"archive/set/train/a/1.jpg", "archive/set/val/a/2.jpg"});
  folder.write("archive/set.zip", "packed");
  folder.write("__MACOSX/archive/x", "");
  const DataSource source{.path = folder.path()};
  EXPECT_EQ(resolve_source(source).path, folder / "archive/set");
  EXPECT_THAT(dataset_splits(source), ElementsAre("train", "val"));
  const TempFolder classes;
  write_pictures(classes,
                 {"256_ObjectCategories/001.ak47/1.jpg", "256_ObjectCategories/002.flag/2.jpg"});
  EXPECT_THAT(open_dataset({.path = classes.path()}, "train")->classes(),
              ElementsAre("001.ak47", "002.flag"));
  const TempFolder textures;
  write_pictures(textures, {"dtd/images/banded/1.jpg", "dtd/images/dotted/2.jpg"});
  textures.write("dtd/labels/train1.txt", "banded/1.jpg");
  EXPECT_THAT(open_dataset({.path = textures.path()}, "train")->classes(),
              ElementsAre("banded", "dotted"));
  const TempFolder one;
  write_pictures(one, {"photos/1.jpg", "photos/2.jpg"});
  EXPECT_THAT(open_dataset({.path = one.path()}, "train")->classes(), ElementsAre("photos"));
}

TEST(Folders, AFolderThatMayNotBeListedIsTheMachinesFault) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may list every folder";
  const TempFolder folder;
  write_pictures(folder, {"a/1.jpg", "b/2.jpg"});
  fs::permissions(folder / "b", fs::perms::none);
  EXPECT_THROW(open_image_folder(folder.path()), SystemError);
  fs::permissions(folder / "b", fs::perms::owner_all);
}

}  // namespace
}  // namespace invp::testing
