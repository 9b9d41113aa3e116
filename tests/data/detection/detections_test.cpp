// Files of detections, in both forms and both directions.
#include "data/detection/detections.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/invp/protocols/detection/golden_set.h"

namespace invp {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::json;
using testing::TempFolder;

DetectionSet two_pictures() {
  DetectionSet set = testing::voc_set();
  for (const char* name : {"000005", "2007_000027"})
    set.pictures.push_back({name, "", std::ssize(set.pictures), 100, 100, 0, 0});
  return set;
}

TEST(Detections, AreWrittenWithTheReferencesRounding) {
  const json golden = testing::golden_json("eval_voc.json")["main"];
  const DetectionSet set = testing::golden_voc_set(golden);
  const TempFolder folder;
  write_detections(folder.path(), set, testing::golden_voc_detections(golden, set));
  int compared = 0;
  for (const auto& [name, lines] : golden["lines"].items()) {
    const std::string text = testing::read_all(folder / ("comp4_det_test_" + name + ".txt"));
    std::string expected;
    for (const json& line : lines) expected += line.get<std::string>() + '\n';
    EXPECT_EQ(text.substr(0, expected.size()), expected) << name;
    ++compared;
  }
  EXPECT_GT(compared, 5);
  EXPECT_EQ(testing::read_all(folder / "comp4_det_test_cow.txt"), "");
}

TEST(Detections, TextComesBackAsItWas) {
  const json golden = testing::golden_json("eval_voc.json")["main"];
  const DetectionSet set = testing::golden_voc_set(golden);
  const TempFolder folder, again;
  write_detections(folder.path(), set, testing::golden_voc_detections(golden, set));
  const Detections read = read_detections(folder.path(), set);
  EXPECT_EQ(read.rows.size(), golden["detections"].size());
  write_detections(again.path(), set, read);
  const Detections twice = read_detections(again.path(), set);
  ASSERT_EQ(twice.rows.size(), read.rows.size());
  for (std::size_t i = 0; i < read.rows.size(); ++i) {
    EXPECT_EQ(twice.rows[i].box, read.rows[i].box);
    EXPECT_EQ(twice.rows[i].score, read.rows[i].score);
  }
  // COCO's form of it, read back, is the same set of boxes.
  const Detections results = read_detections(folder / kResultsFile, set);
  EXPECT_EQ(results.form, BoxForm::kSizes);
  EXPECT_EQ(results.rows.size(), read.rows.size());
  const json truth = json::parse(testing::read_all(folder / kTruthFile));
  EXPECT_EQ(truth["annotations"].size(), set.objects.size());
  EXPECT_EQ(truth["annotations"][0]["id"], 1);
}

TEST(Detections, ResultsNamePicturesByIdOrName) {
  const TempFolder folder;
  const auto file = folder.write("r.json", R"([
    {"image_id": 5, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5},
    {"image_id": "2007_000027", "category_id": 20, "bbox": [1, 2, 3, 4], "score": 1},
    {"image_id": 2007000027, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.25, "segmentation": {}}])");
  const Detections found = read_detections(file, two_pictures());
  ASSERT_EQ(found.rows.size(), 3u);
  EXPECT_EQ(found.rows[0].picture, 0);
  EXPECT_EQ(found.rows[1].picture, 1);
  EXPECT_EQ(found.rows[2].picture, 1);
  EXPECT_EQ(found.rows[1].label, 19);
  EXPECT_THAT(as_voc_text(found).rows[0].box, ElementsAre(2, 3, 4, 6));
}

TEST(Detections, BadResultsAreNamed) {
  const TempFolder folder;
  const auto says = [&](const std::string& entry) {
    const std::string good =
        R"({"image_id": 5, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}, )";
    return error_of(
        [&] { read_detections(folder.write("r.json", "[" + good + entry + "]"), two_pictures()); });
  };
  EXPECT_THAT(says(R"({"image_id": 5, "category_id": 1, "bbox": [1, 2, 3, 4], "score": NaN})"),
              AllOf(HasSubstr("r.json: entry 1"), HasSubstr("no finite number")));
  EXPECT_THAT(says(R"({"image_id": 5, "category_id": 1, "bbox": [1, 2, Infinity, 4], "score": 1})"),
              AllOf(HasSubstr("entry 1"), HasSubstr("bbox")));
  EXPECT_THAT(says(R"({"image_id": 6, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1})"),
              AllOf(HasSubstr("entry 1 is of picture 6"), HasSubstr("1 of the 2 detections")));
  EXPECT_THAT(says(R"({"image_id": 5, "category_id": 0, "bbox": [1, 2, 3, 4], "score": 1})"),
              AllOf(HasSubstr("category 0"), HasSubstr("1 to 20")));
  EXPECT_THAT(says(R"({"image_id": 5, "category_id": 1, "bbox": [1, 2, 3, 4]})"),
              HasSubstr("no score"));
  EXPECT_THAT(says(R"({"image_id": 5, "bbox": [1, 2, 3, 4], "score": 1})"),
              HasSubstr("no category_id"));
  EXPECT_THAT(says(R"({"image_id": 5, "category_id": 1, "bbox": null, "score": 1})"),
              HasSubstr("no bbox"));
  EXPECT_THAT(error_of([&] { read_detections(folder.write("r.json", "{}"), two_pictures()); }),
              HasSubstr("is no list"));
  EXPECT_THAT(error_of([&] { read_detections(folder / "none.json", two_pictures()); }),
              HasSubstr("no such file"));
}

TEST(Detections, BadTextIsNamed) {
  const TempFolder folder;
  const auto says = [&](const std::string& line, const char* name = "comp4_det_test_cow.txt") {
    return error_of([&] {
      read_detections(folder.write(name, "000005 0.5 1 1 5 5\n" + line), two_pictures());
    });
  };
  EXPECT_THAT(says("000005 nan 1 1 5 5"),
              AllOf(HasSubstr("line 2"), HasSubstr("the score \"nan\"")));
  EXPECT_THAT(says("000005 0.5 1 1 5"), AllOf(HasSubstr("line 2"), HasSubstr("5 words")));
  EXPECT_THAT(says("000006 0.5 1 1 5 5"),
              AllOf(HasSubstr("line 2 is of picture 000006"), HasSubstr("1 of the 2")));
  EXPECT_THAT(says("", "comp4_det_test_cows.txt"), HasSubstr("no class"));
  const TempFolder empty;
  EXPECT_THAT(error_of([&] { read_detections(empty.path(), two_pictures()); }),
              HasSubstr("no detections"));
}

}  // namespace
}  // namespace invp
