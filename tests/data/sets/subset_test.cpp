// Draws of a share of the labels, and the list files that name them.
#include "data/sets/subset.h"

#include <gmock/gmock.h>

#include <map>
#include <set>

#include "data/sets/image_folder.h"
#include "data/sets/synthetic_dataset.h"
#include "engine/core/error.h"
#include "engine/files/atomic_file.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Classes n1 to n4 of 1, 99, 100 and 101 pictures; their files need not be pictures.
class Subsets : public ::testing::Test {
 protected:
  Subsets() {
    const int sizes[] = {1, 99, 100, 101};
    for (int c = 0; c < 4; ++c) {
      const std::string name = message("n", c + 1);
      for (int i = 0; i < sizes[c]; ++i)
        folder.write(message("set/", name, "/", name, "_", i, ".JPEG"), name + std::to_string(i));
    }
    folder.write("set/n1/same.JPEG", "a");
    folder.write("set/n2/same.JPEG", "b");
    set = open_image_folder(folder / "set");
  }
  std::string list_error(std::string_view content) const {
    const auto list = folder.write("list.txt", content);
    return error_of([&] { read_subset_list(list, *set); });
  }

  TempFolder folder;
  std::unique_ptr<Dataset> set;
};

TEST_F(Subsets, DrawsTheSameShareOfEachClassRoundedUp) {
  // With "same": 2, 100, 100 and 101 pictures.
  const std::vector<std::int64_t> drawn = draw_per_class(*set, 0.01, 0);
  const auto labelled = subset(*set, drawn);
  std::map<std::int64_t, int> counts;
  for (std::int64_t i = 0; i < labelled->size(); ++i) ++counts[labelled->label(i)];
  EXPECT_EQ(counts, (std::map<std::int64_t, int>{{0, 1}, {1, 1}, {2, 1}, {3, 2}}));
  EXPECT_EQ(draw_per_class(*set, 0.07, 0).size(), 1u + 7 + 7 + 8);  // 0.07 * 100 > 7 in doubles
  EXPECT_EQ(draw_per_class(*set, 1, 0).size(), 303u);
  EXPECT_EQ(draw_per_class(*set, 0.1, 3), draw_per_class(*set, 0.1, 3));
  EXPECT_NE(draw_per_class(*set, 0.1, 3), draw_per_class(*set, 0.1, 4));
  std::set<std::int64_t> seen;  // every picture has its turn
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    for (const std::int64_t index : draw_per_class(*set, 0.1, seed)) seen.insert(index);
  }
  EXPECT_EQ(seen.size(), 303u);
  EXPECT_THAT(error_of([&] { draw_per_class(*set, 0, 0); }), HasSubstr("a share of 0"));
}

TEST_F(Subsets, KeepsPicturesLabelsAndClasses) {
  const auto two = subset(*set, {2, 0});
  EXPECT_EQ(two->size(), 2);
  EXPECT_EQ(two->name(0), set->name(2));
  EXPECT_EQ(two->label(0), set->label(2));
  EXPECT_EQ(two->classes(), set->classes());
  Sample mine, whole;
  two->fetch(1, mine);
  set->fetch(0, whole);
  EXPECT_EQ(mine.file, whole.file);
  EXPECT_THAT(error_of([&] { subset(*set, {303}); }), HasSubstr("image 303 of a set of 303"));
}

TEST_F(Subsets, ListsReadBack) {
  const std::vector<std::int64_t> drawn = draw_per_class(*set, 0.2, 5);
  write_file(folder / "list.txt", subset_list(*set, drawn));
  EXPECT_EQ(read_subset_list(folder / "list.txt", *set), drawn);
  EXPECT_THAT(read_all(folder / "list.txt"), HasSubstr("n1/"));
  EXPECT_THAT(read_all(folder / "list.txt"), HasSubstr(",n4\n"));
  // Also of sets whose pictures lie in one file.
  const auto drawn_set = open_synthetic({.classes = 3, .size = 8}, SyntheticSplit::kTrain, 30);
  write_file(folder / "other.txt", subset_list(*drawn_set, {7, 20}));
  EXPECT_THAT(read_subset_list(folder / "other.txt", *drawn_set), ElementsAre(7, 20));
}

TEST_F(Subsets, TakesTheListsOfSimClrAndOfTheReleasedCode) {
  const auto simclr = folder.write("1percent.txt", "n3_7.JPEG\r\nn2_0.JPEG\r\n\r\n");
  const auto released = folder.write("list.txt", "n3/n3_7.JPEG,n3\nn2/n2_0.JPEG,n2\n");
  const std::vector<std::int64_t> indices = read_subset_list(simclr, *set);
  ASSERT_EQ(indices.size(), 2u);
  EXPECT_THAT(set->name(indices[0]), HasSubstr("n3/n3_7.JPEG"));
  EXPECT_THAT(set->name(indices[1]), HasSubstr("n2/n2_0.JPEG"));
  EXPECT_EQ(read_subset_list(released, *set), indices);
}

TEST_F(Subsets, NamesTheLineThatIsWrong) {
  EXPECT_THAT(
      list_error("n2_0.JPEG\nn2_777.JPEG\n"),
      AllOf(HasSubstr("list.txt: line 2"), HasSubstr("n2_777.JPEG"), HasSubstr("does not have")));
  EXPECT_THAT(list_error("2_0.JPEG\n"), HasSubstr("does not have"));
  EXPECT_THAT(list_error("\nsame.JPEG\n"),
              AllOf(HasSubstr("line 2"), HasSubstr("2 pictures are called")));
  EXPECT_THAT(list_error("n2/n2_0.JPEG,n3\n"), HasSubstr("says class \"n3\", but"));
  EXPECT_THAT(list_error("n2/n2_0.JPEG,n2\nn2_0.JPEG\n"), HasSubstr("for the second time"));
  EXPECT_THAT(list_error("\n"), HasSubstr("the list is empty"));
}

}  // namespace
}  // namespace invp::testing
