// The data sets of transfer in their official forms, made here on a small scale, and broken ones.
#include "data/sets/fine_grained.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "data/sets/open_dataset.h"
#include "engine/core/error.h"
#include "tests/data/sets/files.h"

namespace invp::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(FineGrained, PetsAreListedWithTheirClasses) {
  const TempFolder folder;
  write_pictures(folder, {"images/Abyssinian_100.jpg", "images/yorkshire_terrier_9.jpg",
                          "images/beagle_1.jpg"});
  folder.write("annotations/trainval.txt",
               "# a comment\nAbyssinian_100 1 1 1\r\nyorkshire_terrier_9 37 2 25\r\n");
  folder.write("annotations/test.txt", "beagle_1 5 2 4\n");
  const DataSource source{.path = folder.path()};
  EXPECT_EQ(resolve_format(source), "pets");
  EXPECT_THAT(dataset_splits(source), ElementsAre("train", "test"));
  const auto train = open_dataset(source, "train");
  EXPECT_EQ(train->kind(), "pets");
  EXPECT_THAT(labels_of(*train), ElementsAre(0, 36));
  EXPECT_EQ(train->classes().size(), 37u);
  EXPECT_EQ(train->classes()[36], "yorkshire_terrier");
  EXPECT_EQ(train->name(1), (folder / "images/yorkshire_terrier_9.jpg").string());
  EXPECT_THAT(labels_of(*open_dataset(source, "val")), ElementsAre(4));
}

TEST(FineGrained, PetsNameTheLineThatIsWrong) {
  const TempFolder folder;
  write_pictures(folder, {"images/a_1.jpg"});
  const auto error_with = [&](std::string_view list) {
    folder.write("annotations/trainval.txt", list);
    return error_of([&] { open_pets(folder.path(), true); });
  };
  EXPECT_THAT(error_with("a_1 1 1 1\na_1 38 1 1\n"),
              AllOf(HasSubstr("trainval.txt: line 2"), HasSubstr("38"), HasSubstr("1 to 37")));
  EXPECT_THAT(error_with("a_1 1 1\n"), HasSubstr("line 1 is not"));
  EXPECT_THAT(error_with("a_1 one 1 1\n"), HasSubstr("class \"one\""));
  EXPECT_THAT(error_with("b_2 1 1 1\n"), AllOf(HasSubstr("b_2.jpg"), HasSubstr("no such file")));
  EXPECT_THAT(error_with("# nothing\n"), HasSubstr("names no image"));
  EXPECT_THAT(error_of([&] { open_pets(folder.path(), false); }), HasSubstr("test.txt"));
}

/// The four lists of the birds with pictures 1, 2 and 3.
void write_birds(const TempFolder& folder) {
  const std::string root = "CUB_200_2011/";
  folder.write(root + "images.txt", "1 001.A/a.jpg\n2 200.Z/b.jpg\n3 001.A/c.jpg\n");
  folder.write(root + "image_class_labels.txt", "1 1\n2 200\n3 1\n");
  folder.write(root + "train_test_split.txt", "3 1\n1 0\n2 1\n");
  std::string classes;
  for (int i = 1; i <= 200; ++i) classes += message(i, " ", i, ".Bird\n");
  folder.write(root + "classes.txt", classes);
  write_pictures(folder, {root + "images/001.A/a.jpg", root + "images/200.Z/b.jpg",
                          root + "images/001.A/c.jpg"});
}

TEST(FineGrained, BirdsAreJoinedByTheirIds) {
  const TempFolder folder;
  write_birds(folder);
  const DataSource source{.path = folder.path()};
  EXPECT_EQ(resolve_format(source), "cub200");
  EXPECT_EQ(resolve_format({.path = folder / "CUB_200_2011"}), "cub200");
  const auto train = open_dataset(source, "train");
  EXPECT_THAT(labels_of(*train), ElementsAre(199, 0));
  EXPECT_THAT(train->name(1), ::testing::EndsWith("images/001.A/c.jpg"));
  EXPECT_EQ(train->classes()[199], "200.Bird");
  EXPECT_THAT(labels_of(*open_dataset(source, "test")), ElementsAre(0));
}

TEST(FineGrained, BirdsNameTheLineThatIsWrong) {
  const TempFolder folder;
  const auto error_with = [&](const std::string& file, std::string_view content) {
    write_birds(folder);
    folder.write("CUB_200_2011/" + file, content);
    return error_of([&] { open_cub200(folder.path(), true); });
  };
  EXPECT_THAT(error_with("image_class_labels.txt", "1 1\n2 201\n3 1\n"),
              AllOf(HasSubstr("image_class_labels.txt: line 2"), HasSubstr("201")));
  EXPECT_THAT(error_with("image_class_labels.txt", "1 1\n3 1\n"),
              AllOf(HasSubstr("image_class_labels.txt"), HasSubstr("no line for ID 2")));
  EXPECT_THAT(error_with("train_test_split.txt", "1 1\n2 2\n3 1\n"), HasSubstr("line 2"));
  EXPECT_THAT(error_with("images.txt", "1 a b\n"), HasSubstr("images.txt: line 1"));
  EXPECT_THAT(error_with("images.txt", "1 a\n1 b\n"), HasSubstr("second time"));
  EXPECT_THAT(error_with("images.txt", "2 gone.jpg\n3 001.A/c.jpg\n"),
              AllOf(HasSubstr("gone.jpg"), HasSubstr("no such file")));
  EXPECT_THAT(error_with("classes.txt", "1 One\n"), HasSubstr("no line for ID 2"));
}

TEST(FineGrained, Caltech101IsSplitByTheSeedWithoutTheBackground) {
  const TempFolder folder;
  const auto add_class = [&](const std::string& name, int count) {
    for (int i = 1; i <= count; ++i)
      folder.write(message("101_ObjectCategories/", name, "/image_", i, ".jpg"), "picture");
  };
  add_class("accordion", 40);
  add_class("Faces", 35);
  add_class("BACKGROUND_Google", 9);
  add_class("small", 4);
  const DataSource source{.path = folder.path()};
  EXPECT_EQ(resolve_format(source), "caltech101");
  EXPECT_EQ(resolve_format({.path = folder / "101_ObjectCategories"}), "caltech101");
  const auto train = open_dataset(source, "train");
  const auto test = open_dataset(source, "test");
  EXPECT_EQ(train->kind(), "caltech101");
  EXPECT_THAT(train->classes(), ElementsAre("Faces", "accordion", "small"));
  EXPECT_EQ(train->size(), 30 + 30 + 3);
  EXPECT_EQ(test->size(), 5 + 10 + 1);
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < train->size(); ++i) names.push_back(train->name(i));
  for (std::int64_t i = 0; i < test->size(); ++i) names.push_back(test->name(i));
  std::ranges::sort(names);
  EXPECT_EQ(std::ranges::adjacent_find(names), names.end()) << "in both halves";
  const auto other = open_caltech101(folder.path(), true, 1);
  EXPECT_NE(other->name(0) + other->name(7) + other->name(15),
            train->name(0) + train->name(7) + train->name(15));
  EXPECT_THAT(error_of([&] { open_caltech101(folder / "none", true); }), HasSubstr("none"));
}

TEST(FineGrained, ImageFoldersMayStandInForTheOfficialForm) {
  const TempFolder folder;
  write_pictures(folder, {"train/a/1.jpg", "train/b/2.jpg", "val/a/3.jpg", "val/b/4.jpg"});
  const DataSource source{.path = folder.path(), .format = "pets"};
  EXPECT_EQ(open_dataset(source, "train")->kind(), "pets");
  EXPECT_EQ(open_dataset(source, "test")->size(), 2);
}

}  // namespace
}  // namespace invp::testing
