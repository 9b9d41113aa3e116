// Splits are matched by the names of their classes.
#include <gmock/gmock.h>

#include "data/sets/pack_writer.h"
#include "data/sets/splits.h"
#include "engine/core/error.h"
#include "tests/data/sets/files.h"

namespace invp::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(ClassNames, ASplitThatLacksClassesIsNumberedAsTheTrainingSplit) {
  const TempFolder folder;
  write_pictures(folder, {"train/a/1.jpg", "train/b/2.jpg", "train/c/3.jpg", "val/b/4.jpg",
                          "val/c/5.jpg", "val/c/6.jpg"});
  const DataSource source{.path = folder.path()};
  EXPECT_THAT(labels_of(*open_dataset(source, "val")), ElementsAre(0, 1, 1));  // by itself
  for (const auto& val :
       {open_split(source, "val"), open_validation(source, *open_dataset(source, "train")),
        open_labeled_validation(source, *open_labeled_train(source))}) {
    EXPECT_THAT(labels_of(*val), ElementsAre(1, 2, 2));
    EXPECT_THAT(val->classes(), ElementsAre("a", "b", "c"));
    EXPECT_THAT(val->name(0), ::testing::EndsWith("val/b/4.jpg"));
    EXPECT_EQ(val->kind(), "imagefolder");
    EXPECT_NE(val->identity(), open_dataset(source, "val")->identity());
  }
}

TEST(ClassNames, OtherClassesAreRefusedWithTheDifference) {
  const TempFolder folder;
  write_pictures(folder, {"train/a/1.jpg", "train/b/2.jpg", "train/c/3.jpg", "val/b/4.jpg",
                          "val/dog/5.jpg", "val/cat/6.jpg"});
  const DataSource source{.path = folder.path()};
  for (const std::string& said : {error_of([&] { open_split(source, "val"); }), error_of([&] {
                                    open_validation(source, *open_dataset(source, "train"));
                                  })}) {
    EXPECT_THAT(said, AllOf(HasSubstr("2 of 3"), HasSubstr("\"cat\", \"dog\""),
                            HasSubstr("it lacks 2: \"a\", \"c\"")));
  }
  std::vector<std::string> many;
  for (int i = 0; i < 40; ++i) many.push_back(message("val/new", i, "/1.jpg"));
  write_pictures(folder, many);
  EXPECT_THAT(error_of([&] { open_split(source, "val"); }),
              AllOf(HasSubstr("42 of 43"), HasSubstr("37 others"), Not(HasSubstr("new9"))));
}

TEST(ClassNames, ListsOfNumbersMayLackAnyClass) {
  const TempFolder folder;
  write_pictures(folder, {"1.jpg", "2.jpg", "3.jpg"});
  folder.write("train.txt", "1.jpg 0\n2.jpg 1\n3.jpg 2\n");
  const DataSource source{.path = folder.path()};
  const auto train = open_dataset(source, "train");
  for (const char* lines : {"1.jpg 0\n2.jpg 1\n", "1.jpg 0\n2.jpg 2\n", "1.jpg 2\n"}) {
    folder.write("val.txt", lines);
    const auto val = open_validation(source, *train);
    EXPECT_THAT(val->classes(), ElementsAre("0", "1", "2"));
    EXPECT_EQ(labels_of(*val), labels_of(*open_dataset(source, "val")));
  }
  folder.write("val.txt", "1.jpg 0\n2.jpg 7\n");
  EXPECT_THAT(error_of([&] { open_validation(source, *train); }),
              AllOf(HasSubstr("1 of 2"), HasSubstr("\"7\"")));
}

TEST(ClassNames, ListsOfNamesAreMatchedByThem) {
  const TempFolder folder;
  write_pictures(folder, {"1.jpg", "2.jpg"});
  folder.write("train.csv", "path,label\n1.jpg,ant\n2.jpg,bee\n");
  folder.write("val.csv", "path,label\n1.jpg,bee\n");
  const DataSource source{.path = folder.path()};
  EXPECT_THAT(labels_of(*open_split(source, "val")), ElementsAre(1));
}

TEST(ClassNames, PacksAreMatchedByThem) {
  const TempFolder folder, packs;
  const std::string picture = "P6\n1 1\n255\nabc";
  for (const char* path : {"train/a/1.ppm", "train/b/2.ppm", "val/b/3.ppm"})
    folder.write(path, picture);
  const DataSource source{.path = folder.path()};
  // Made apart from each other, each pack has its own numbers.
  for (const char* split : {"train", "val"}) {
    write_pack(*open_dataset(source, split), packs / (std::string(split) + ".pack"), {},
               [](std::int64_t, std::int64_t) {});
  }
  EXPECT_THAT(labels_of(*open_split({.path = packs.path()}, "val")), ElementsAre(1));
}

TEST(ClassNames, SplitsWithoutLabelsAreLeftAsTheyAre) {
  const TempFolder folder;
  write_pictures(folder, {"train/a/1.jpg", "train/b/2.jpg", "val/3.jpg"});
  const DataSource source{.path = folder.path()};
  const auto train = open_labeled_train(source);
  const auto val = open_validation(source, *train);
  EXPECT_FALSE(val->has_labels());
  EXPECT_THAT(
      error_of([&] { open_labeled_validation(source, *train); }),
      AllOf(HasSubstr((folder / "val").string()), HasSubstr("no labels"), HasSubstr("CLASS")));
}

TEST(ClassNames, AMissingSplitIsNamed) {
  const TempFolder folder;
  write_pictures(folder, {"a/1.jpg", "b/2.jpg"});
  const DataSource source{.path = folder.path()};
  const auto train = open_labeled_train(source);
  EXPECT_EQ(open_validation(source, *train), nullptr);
  EXPECT_THAT(error_of([&] { open_labeled_validation(source, *train); }),
              HasSubstr("no split \"val\""));
}

}  // namespace
}  // namespace invp::testing
