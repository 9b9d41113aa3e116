// invp detect eval, and what invp data says of boxes, as a person uses them.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "data/images/decode.h"
#include "data/images/draw_boxes.h"
#include "data/images/encode.h"
#include "tests/data/golden.h"
#include "tests/support/html.h"
#include "tests/tools/program.h"

namespace invp {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::Outcome;
using testing::run_invp;
using testing::Scratch;

/// COCO's form: a person of 10 x 10 in one picture, a dog without area field in the other.
class DetectTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::vector<std::uint8_t> bytes = encode_png(test::photo_like(50, 40, 1));
    const std::string picture(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    for (const char* name : {"val/1.png", "val/2.png"}) scratch_.write(name, picture);
    write_truth({10, 10, 10, 10}, {5, 5, 20, 20});
  }
  void write_truth(const json& person, const json& dog) {
    const json truth = {
        {"images", {image(1), image(2)}},
        {"annotations",
         {{{"id", 1}, {"image_id", 1}, {"category_id", 3}, {"bbox", person}, {"area", 100}},
          {{"id", 2}, {"image_id", 2}, {"category_id", 8}, {"bbox", dog}}}},
        {"categories", {{{"id", 3}, {"name", "person"}}, {{"id", 8}, {"name", "dog"}}}}};
    scratch_.write("annotations/instances_val.json", truth.dump());
  }
  static json image(int id) {
    return {{"id", id}, {"width", 50}, {"height", 40}, {"file_name", std::to_string(id) + ".png"}};
  }
  static json result(int picture, int category, double score, const json& box) {
    return {{"image_id", picture}, {"category_id", category}, {"bbox", box}, {"score", score}};
  }
  Outcome evaluate(const json& results, const std::string& options = "") {
    scratch_.write("results.json", results.dump());
    return run_invp("detect eval --json --split val --data " + scratch_.path().string() +
                    " --detections " + (scratch_ / "results.json") + " " + options);
  }
  Scratch scratch_;
};

TEST_F(DetectTest, ScoresAreInPerCent) {
  const Outcome outcome =
      evaluate({result(1, 3, 0.9, {10, 10, 10, 10}), result(2, 8, 0.8, {40, 30, 5, 5})});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json results = json::parse(outcome.last_line());
  EXPECT_EQ(results["metric"], "coco");
  EXPECT_NEAR(results["ap"].get<double>(), 50, 1e-9);
  EXPECT_NEAR(results["per_class"]["person"].get<double>(), 100, 1e-9);
  EXPECT_EQ(results["per_class"]["dog"], 0);
  EXPECT_EQ(results["apl"], -1);
  EXPECT_NEAR(results["rules"]["voc12"]["ap50"].get<double>(), 50, 1e-9);
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("1 object without \"area\""), HasSubstr("no large objects")));
}

TEST_F(DetectTest, BothFormsAreWrittenAndJudgedAlike) {
  const json detections = {result(1, 3, 0.9, {11, 10, 10, 10}), result(2, 8, 0.8, {6, 6, 20, 20})};
  const Outcome first = evaluate(detections, "--to " + (scratch_ / "both"));
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(testing::read_all(scratch_ / "both/comp4_det_test_person.txt"),
            "1 0.900 12.0 11.0 21.0 20.0\n");
  const Outcome again = run_invp("detect eval --json --split val --data " +
                                 scratch_.path().string() + " --detections " + (scratch_ / "both"));
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(json::parse(first.last_line())["rules"], json::parse(again.last_line())["rules"]);
}

TEST_F(DetectTest, TheReportShowsWhatWasJudged) {
  const std::string report = scratch_ / "page.html";
  const Outcome outcome =
      evaluate({result(1, 3, 0.9, {10, 10, 10, 10}), result(2, 8, 0.8, {40, 30, 5, 5})},
               "--report " + report);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(json::parse(outcome.last_line())["report"], report);
  const testing::HtmlPage page(testing::read_all(report));
  EXPECT_EQ(page.count("article", "pair"), 2);
  EXPECT_THAT(page.text(), AllOf(HasSubstr("Detections of results.json"), HasSubstr("dog 0.80"),
                                 HasSubstr("1 object without")));
}

TEST_F(DetectTest, DataShowDrawsTheBoxes) {
  const std::string sheet = scratch_ / "sheet.png";
  const std::string show =
      "data show --json --split val --data " + scratch_.path().string() + " --to " + sheet;
  const Outcome outcome = run_invp(show + " --tile 50");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(json::parse(outcome.last_line())["images"], 2);
  const Image image = load_image(sheet);
  EXPECT_EQ(image.width, 6 + 2 * 56);
  // The frame of the person: at (10, 10) of a picture that is 5 lower than its tile.
  const Rgb color = kind_color(0);
  EXPECT_TRUE(std::equal(color.begin(), color.end(), image.at(6 + 12, 6 + 5 + 10)));
  EXPECT_TRUE(std::equal(color.begin(), color.end(), image.at(6 + 10, 6 + 5 + 18)));
  // Views, where they are asked for.
  const Outcome views = run_invp(show + " --views 2 --tile 50");
  ASSERT_EQ(views.code, 0) << views.err;
  EXPECT_THAT(views.out, HasSubstr("2 images with 2 views each"));
}

TEST_F(DetectTest, ZeroHasACause) {
  const Outcome none = evaluate(json::array());
  EXPECT_EQ(none.code, 0) << none.err;
  EXPECT_THAT(none.out, HasSubstr("no detections"));
  EXPECT_EQ(json::parse(none.last_line())["ap"], 0);
  const Outcome other = evaluate(json::array({result(7, 3, 0.9, {10, 10, 10, 10})}));
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.err,
              AllOf(HasSubstr("entry 0 is of picture 7"), HasSubstr("ids do not match")));
  EXPECT_EQ(std::ranges::count(other.err, '\n'), 1);
}

TEST_F(DetectTest, DataInfoCountsObjectsAndDataCheckListsBadBoxes) {
  const std::string data = " --json --data " + scratch_.path().string();
  const Outcome info = run_invp("data info" + data);
  ASSERT_EQ(info.code, 0) << info.err;
  const json boxes = json::parse(info.last_line())["boxes"]["val"];
  EXPECT_EQ(boxes["objects"], 2);
  EXPECT_EQ(boxes["per_class"]["dog"], 1);
  EXPECT_EQ(boxes["trained_on"], 2);
  EXPECT_EQ(run_invp("data check" + data).code, 0);

  write_truth({10, 10, 0, 10}, {45, 5, 20, 20});
  const Outcome check = run_invp("data check" + data);
  EXPECT_EQ(check.code, 1);
  const json results = json::parse(check.last_line());
  ASSERT_EQ(results["bad_boxes"].size(), 1u);
  EXPECT_THAT(results["bad_boxes"][0]["reason"].get<std::string>(),
              AllOf(HasSubstr("1.png"), HasSubstr("annotation 1 (person) has no area")));
  EXPECT_EQ(results["clipped_boxes"].size(), 1u);
  ASSERT_EQ(results["left_out_pictures"].size(), 1u);
  EXPECT_EQ(results["left_out_pictures"][0]["file"], "1.png");
  std::filesystem::remove(scratch_ / "val/2.png");
  EXPECT_THAT(run_invp("data check" + data).out, HasSubstr("2.png"));
}

}  // namespace
}  // namespace invp
