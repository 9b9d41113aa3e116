// Detections on a page: what is shown of them, and that no name of a class or file does harm.
#include "invp/report/html/detection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/images/encode.h"
#include "engine/core/error.h"
#include "invp/report/html/sections.h"
#include "tests/data/golden.h"
#include "tests/invp/protocols/detection/golden_set.h"
#include "tests/support/html.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::HtmlElement;
using testing::HtmlPage;
using ::testing::Not;

constexpr std::int32_t kCat = 7, kDog = 11;

/// Two pictures of 120 x 90, each with a cat and a dog; the second dog is difficult.
class DetectionPageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::vector<std::uint8_t> bytes = encode_jpeg(test::photo_like(120, 90, 1));
    for (const char* name : {"one", "two"}) {
      folder.write(std::string(name) + ".jpg",
                   std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
      set.pictures.push_back({name, folder.path().string(), std::ssize(set.pictures), 120, 90,
                              std::ssize(set.objects), 2});
      add(kCat, {10, 10, 40, 40}, false);
      add(kDog, {60, 20, 50, 60}, std::string(name) == "two");
    }
    set.source = folder.path();
  }
  void add(std::int32_t label, const ObjectBox& box, bool difficult) {
    set.objects.push_back({.box = box, .area = box.area(), .label = label, .difficult = difficult});
  }
  void find(std::int32_t picture, std::int32_t label, double score, const ObjectBox& box) {
    found.rows.push_back({picture, label, score, {box.x, box.y, box.width, box.height}});
  }
  /// One of each kind: right twice, duplicate, misplaced, confused, background; the dog is missed.
  void find_all_kinds() {
    find(0, kCat, 0.95, {10, 10, 40, 40});
    find(1, kCat, 0.9, {10, 10, 40, 40});
    find(0, kCat, 0.8, {12, 10, 40, 40});
    find(0, kDog, 0.7, {60, 20, 50, 20});
    find(1, kDog, 0.6, {10, 10, 40, 40});
    find(1, kCat, 0.55, {0, 75, 20, 15});
  }
  DetectionPart part(const std::string& name = "found") const {
    const auto shared = std::make_shared<const DetectionSet>(set);
    return detection_part(name, shared, found, evaluate_voc(*shared, found),
                          evaluate_coco(*shared, found));
  }

  testing::TempFolder folder;
  DetectionSet set = testing::voc_set();
  Detections found{.form = BoxForm::kSizes, .rows = {}, .source = "here"};
};

void expect_self_contained(const HtmlPage& page) {
  for (const HtmlElement& element : page.elements()) {
    for (const auto& [name, value] : element.attributes) {
      if (name == "src") {
        EXPECT_THAT(value, ::testing::StartsWith("data:image/jpeg;base64,/9j/"));
      }
      if (name == "href") {
        EXPECT_THAT(value, ::testing::StartsWith("#"));
      }
      EXPECT_FALSE(name.starts_with("on")) << name;
    }
  }
}

TEST_F(DetectionPageTest, ShowsFiguresCurvesPicturesMistakesAndMisses) {
  find_all_kinds();
  const HtmlPage page(detection_html(part(), {"a remark"}));
  expect_self_contained(page);
  for (const char* title :
       {"Average precision", "Precision against recall", "Detections beside the objects",
        "Mistakes", "Missed objects", "a remark"})
    EXPECT_THAT(page.text(), HasSubstr(title));
  EXPECT_EQ(page.count("article", "pair"), 2);
  EXPECT_EQ(page.count("svg", "chart"), 2 + 2);  // the means, and the two classes with objects
  EXPECT_EQ(page.count("ul", "crops"), 4 + 1);   // each kind of mistake, and the misses
  // Two pictures twice, four mistakes, one miss.
  EXPECT_EQ(page.count("img"), 2 * 2 + 4 + 1);
  EXPECT_THAT(page.text(), AllOf(HasSubstr("cat 0.80, overlap 0.90 with cat"),
                                 HasSubstr("dog 0.70, overlap 0.33 with dog"),
                                 HasSubstr("dog 0.60, overlap 1.00 with cat"),
                                 HasSubstr("cat 0.55"), HasSubstr("1 object is missed")));
  EXPECT_THAT(page.text(), HasSubstr("27.8 % of the picture"));  // the dog
  EXPECT_THAT(page.text(), HasSubstr("two: 1 object, and 1 difficult"));
}

TEST_F(DetectionPageTest, PicturesShowDetectionsFromTheBestScoreOn) {
  find_all_kinds();
  EXPECT_EQ(part().best.score, 0.9);
  const HtmlPage page(detection_html(part(), {}));
  EXPECT_THAT(page.text(), HasSubstr("from a score of 0.9 on"));
  EXPECT_THAT(page.text(), HasSubstr("1 detection: 1 right, 0 wrong"));
  EXPECT_THAT(page.text(), Not(HasSubstr("2 detections:")));
}

TEST_F(DetectionPageTest, WithoutARightDetectionTheMostConfidentAreShown) {
  for (int i = 0; i < 9; ++i) find(0, kCat, 0.1 + 0.01 * i, {80, 70, 20, 15});
  const HtmlPage page(detection_html(part(), {}));
  EXPECT_THAT(page.text(), AllOf(HasSubstr("none in the set is right"),
                                 HasSubstr("5 detections: 0 right, 5 wrong"),
                                 HasSubstr("3 objects are missed")));
  found.rows.clear();
  const HtmlPage none(detection_html(part(), {}));
  EXPECT_THAT(none.text(), HasSubstr("0 detections: 0 right, 0 wrong"));
  EXPECT_THAT(none.text(), Not(HasSubstr("Mistakes")));
}

TEST_F(DetectionPageTest, NamesOfClassesAndFilesAreEscaped) {
  const std::string evil = "\"><script>alert('x')</script>&\n\xff\u202e";
  find_all_kinds();
  set.classes[kCat] = evil;
  set.pictures[1].name = evil;  // and is not there
  set.source = evil;
  set.split = evil;
  found.source = evil;
  const HtmlPage page(detection_html(part(evil), {evil}));
  expect_self_contained(page);
  EXPECT_EQ(page.count("script"), 1);
  EXPECT_EQ(page.raw().size(), 2u);  // the page's style and script
  EXPECT_THAT(page.text(), HasSubstr("&lt;script&gt;alert"));
  EXPECT_THAT(page.text(), Not(HasSubstr("\u202e")));
}

TEST_F(DetectionPageTest, PicturesThatCannotBeReadAreGrayAndCounted) {
  find_all_kinds();
  std::filesystem::remove(folder / "two.jpg");
  const HtmlPage page(detection_html(part(), {}));
  EXPECT_THAT(page.text(), HasSubstr("found: 1 picture cannot be read and is gray, the first: "));
  EXPECT_THAT(page.text(), HasSubstr("two.jpg"));
  EXPECT_EQ(page.count("article", "pair"), 2);
}

TEST_F(DetectionPageTest, OddBoxesDoNoHarm) {
  find_all_kinds();
  add(kCat, {1e9, -1e9, 1e-9, 1e300}, false);
  set.pictures.back().objects += 1;
  find(1, kCat, 0.99, {-1e6, -1e6, 2e6, 2e6});
  find(1, kCat, 0.98, {50, 50, 0, 0});
  find(1, kDog, 0.97, {500, 500, 10, 10});
  const HtmlPage page(detection_html(part(), {}));
  EXPECT_EQ(page.count("article", "pair"), 2);
}

TEST_F(DetectionPageTest, ARunOfADetectorShowsItsDetectionsAndMissesNoFeatures) {
  find_all_kinds();
  write_detections(folder / "run/detections", set, found);
  folder.write("run/metrics.jsonl", "{\"epoch\": 1, \"loss\": 2.5, \"ap50\": 50}\n");
  ReportRun run{.name = "run",
                .folder = folder / "run",
                .settings = {{"lr", "1"}},
                .objective = {},
                .open = {},
                .open_boxes = [&] { return set; }};
  const HtmlPage page(report_html(std::vector{run}));
  expect_self_contained(page);
  EXPECT_EQ(page.count("article", "pair"), 2);
  EXPECT_THAT(page.text(), AllOf(HasSubstr("At a glance"), HasSubstr("Missed objects")));
  EXPECT_THAT(page.text(), Not(HasSubstr("Not shown")));
  run.open_boxes = []() -> DetectionSet { fail("/old/<place>: no such file or folder"); };
  const HtmlPage moved(report_html(std::vector{run}));
  EXPECT_EQ(moved.count("img"), 0);
  EXPECT_THAT(moved.text(), HasSubstr("run: no detections: /old/&lt;place&gt;"));
}

TEST_F(DetectionPageTest, SeveralPartsStandSideBySide) {
  find_all_kinds();
  std::vector<DetectionPart> parts = {part("first"), part("second")};
  parts[1].number = 1;
  Missing missing;
  std::string inside;
  for (const PageSection& section : detection_sections(parts, {.pictures = 1}, missing))
    inside += section.inside;
  EXPECT_TRUE(missing.lines().empty());
  const HtmlPage page("<!doctype html>\n" + inside);
  EXPECT_EQ(page.count("article", "pair"), 2);
  EXPECT_EQ(page.count("svg", "chart"), 4);
  // The second part's line in both means and of the cats; no dog is found.
  EXPECT_EQ(page.count("path", "c1"), 3);
}

}  // namespace
}  // namespace invp
