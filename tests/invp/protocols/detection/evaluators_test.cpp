// The evaluators against detectron2's and pycocotools' figures, and what those leave undefined.
#include <gmock/gmock.h>

#include "engine/core/parallel.h"
#include "invp/protocols/detection/causes.h"
#include "invp/protocols/detection/coco_evaluator.h"
#include "invp/protocols/detection/voc_evaluator.h"
#include "tests/invp/protocols/detection/golden_set.h"

namespace invp {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using testing::json;

/// The reference has 0 or not a number for classes without objects, where ours are undefined.
void expect_rule(const RuleScores& scores, const json& expected, const std::string& name) {
  ASSERT_EQ(scores.ap.size(), expected["ap"].size());
  int compared = 0;
  for (std::size_t c = 0; c < scores.ap.size(); ++c) {
    for (std::size_t t = 0; t < kOverlaps; ++t) {
      const json& wanted = expected["ap"][c][t];
      if (scores.ap[c][t] == kUndefined) {
        EXPECT_TRUE(wanted.is_null() || wanted == 0) << name << ' ' << c;
        continue;
      }
      EXPECT_NEAR(100 * scores.ap[c][t], wanted.get<double>(), 1e-9)
          << name << ' ' << c << ' ' << t;
      ++compared;
    }
  }
  EXPECT_GE(compared, 20) << name;
  if (expected["summary"]["AP"].is_null()) return;
  constexpr auto kZero = EmptyClasses::kZero;
  EXPECT_NEAR(100 * scores.mean(kZero), expected["summary"]["AP"].get<double>(), 1e-9);
  EXPECT_NEAR(100 * scores.mean_at(kAt50, kZero), expected["summary"]["AP50"].get<double>(), 1e-9);
  EXPECT_NEAR(100 * scores.mean_at(kAt75, kZero), expected["summary"]["AP75"].get<double>(), 1e-9);
}

TEST(VocEvaluator, EqualsTheReference) {
  const json golden = testing::golden_json("eval_voc.json");
  for (const char* of_case : {"main", "edge"}) {
    const DetectionSet set = testing::golden_voc_set(golden[of_case]);
    const VocScores scores =
        evaluate_voc(set, testing::golden_voc_detections(golden[of_case], set));
    expect_rule(scores.eleven_point, golden[of_case]["eleven_point"], of_case);
    expect_rule(scores.area, golden[of_case]["area"], of_case);
  }
}

TEST(VocEvaluator, MeansLeaveOutClassesWithoutObjects) {
  const json golden = testing::golden_json("eval_voc.json")["edge"];
  const DetectionSet set = testing::golden_voc_set(golden);
  const VocScores scores = evaluate_voc(set, testing::golden_voc_detections(golden, set));
  // Of dog and person, the only classes with objects that are not difficult, person has no
  // detection.
  EXPECT_EQ(scores.area.ap[7][0], kUndefined);
  EXPECT_NEAR(scores.area.mean(), scores.area.ap[11][0] / 2, 1e-12);
  EXPECT_NEAR(scores.area.mean(EmptyClasses::kZero), scores.area.ap[11][0] / 20, 1e-12);
}

/// A set of one class and pictures of 100 x 100, object by object.
DetectionSet small_set(const std::vector<std::vector<BoxedObject>>& pictures) {
  DetectionSet set = testing::voc_set();
  for (const auto& objects : pictures) {
    set.pictures.push_back({std::to_string(set.pictures.size()), "", std::ssize(set.pictures), 100,
                            100, std::ssize(set.objects), std::ssize(objects)});
    set.objects.insert(set.objects.end(), objects.begin(), objects.end());
  }
  return set;
}
BoxedObject object_at(ObjectBox box, bool difficult = false) {
  return {.box = box, .area = box.area(), .label = 0, .difficult = difficult};
}

TEST(VocEvaluator, ASecondDetectionOfAnObjectIsWrong) {
  const DetectionSet set = small_set({{object_at({10, 10, 50, 50}), object_at({12, 10, 50, 50})}});
  Detections detections;
  // Both overlap the first object most; there is no second-best search.
  detections.rows = {{0, 0, 0.9, {10, 10, 60, 60}}, {0, 0, 0.8, {10, 10, 60, 60}}};
  const VocScores scores = evaluate_voc(set, detections);
  EXPECT_DOUBLE_EQ(scores.area.ap[0][0], 0.5);
  // COCO's rule gives the second detection to the second object.
  EXPECT_DOUBLE_EQ(evaluate_coco(set, detections).average_precision().ap[0][0], 1);
}

TEST(VocEvaluator, DifficultObjectsNeitherCountNorHarm) {
  const DetectionSet set =
      small_set({{object_at({10, 10, 50, 50}, true)}, {object_at({20, 20, 30, 30})}});
  Detections detections;
  detections.rows = {
      {0, 0, 0.9, {10, 10, 60, 60}}, {0, 0, 0.8, {10, 10, 60, 60}}, {1, 0, 0.5, {20, 20, 50, 50}}};
  EXPECT_DOUBLE_EQ(evaluate_voc(set, detections).area.ap[0][9], 1);
}

DetectionSet golden_coco(const testing::TempFolder& folder, const json& golden) {
  return open_boxes(folder.write("instances_val.json", golden["ground_truth"].dump()),
                    {.split = "val", .pictures = false});
}

TEST(CocoEvaluator, EqualsTheReference) {
  const json golden = testing::golden_json("eval_coco.json");
  const testing::TempFolder folder;
  const DetectionSet set = golden_coco(folder, golden);
  const Detections detections =
      read_detections(folder.write("results.json", golden["detections"].dump()), set);
  const CocoScores scores = evaluate_coco(set, detections);
  for (std::size_t t = 0; t < kOverlaps; ++t)
    EXPECT_EQ(coco_overlap(t), golden["iou_thresholds"][t].get<double>());
  const auto figures = scores.figures();
  for (std::size_t k = 0; k < figures.size(); ++k)
    EXPECT_NEAR(figures[k], golden["stats"][k].get<double>(), 1e-9) << kCocoFigures[k];

  const RuleScores by_class = scores.average_precision();
  for (std::size_t c = 0; c < scores.classes; ++c) {
    for (std::size_t t = 0; t < kOverlaps; ++t) {
      const json& wanted = golden["ap"][c][t];
      EXPECT_NEAR(by_class.ap[c][t], wanted.is_null() ? kUndefined : wanted.get<double>(), 1e-9);
    }
  }
  // Stored as f32.
  ASSERT_EQ(scores.recall.size(), golden["recall"].size());
  const std::size_t rest = scores.classes * kAreas * kLimits;
  for (std::size_t i = 0; i < scores.recall.size(); ++i) {
    EXPECT_NEAR(scores.recall[i], golden["recall"][i].get<double>(), 1e-6) << i;
    double mean = 0;
    for (std::size_t point = 0; point < kRecalls; ++point)
      mean += scores.precision[(i / rest * kRecalls + point) * rest + i % rest] / kRecalls;
    EXPECT_NEAR(mean, golden["mean_precision"][i].get<double>(), 1e-6) << i;
  }
}

TEST(CocoEvaluator, AnObjectWithTheIdZeroIsFound) {
  DetectionSet set = small_set({{object_at({10, 10, 50, 50})}});
  set.format = BoxFormat::kCoco;
  Detections detections{BoxForm::kSizes, {{0, 0, 0.9, {10, 10, 50, 50}}}, "here"};
  EXPECT_DOUBLE_EQ(evaluate_coco(set, detections).figures()[0], 1);
  EXPECT_THAT(causes(set, detections, 1), Contains(HasSubstr("id 0: pycocotools")));
}

TEST(Evaluators, GiveTheSameBitsForAnyNumberOfThreads) {
  const json golden = testing::golden_json("eval_voc.json")["main"];
  const DetectionSet set = testing::golden_voc_set(golden);
  const Detections detections = testing::golden_voc_detections(golden, set);
  std::vector<CocoScores> coco;
  std::vector<VocScores> voc;
  for (const int threads : {1, 3, 8}) {
    set_num_threads(threads);
    coco.push_back(evaluate_coco(set, detections));
    voc.push_back(evaluate_voc(set, detections));
  }
  set_num_threads(0);
  for (std::size_t i = 1; i < coco.size(); ++i) {
    EXPECT_EQ(coco[0].precision, coco[i].precision);
    EXPECT_EQ(coco[0].recall, coco[i].recall);
    EXPECT_EQ(coco[0].judgments, coco[i].judgments);
    EXPECT_EQ(voc[0].judgments, voc[i].judgments);
    EXPECT_EQ(voc[0].area.ap, voc[i].area.ap);
    EXPECT_EQ(voc[0].eleven_point.ap, voc[i].eleven_point.ap);
  }
}

TEST(Causes, NameWhatMakesAZero) {
  const DetectionSet set = small_set({{object_at({10, 10, 50, 50})}});
  Detections detections{BoxForm::kSizes, {}, "here"};
  EXPECT_THAT(causes(set, detections, 0), Contains(HasSubstr("no detections in here: AP is 0")));
  EXPECT_THAT(causes(set, detections, 0),
              Contains(HasSubstr("19 classes (bicycle, bird, boat, ...)")));
  EXPECT_THAT(causes(set, detections, 0), Contains(HasSubstr("no small objects")));
  detections.rows = {{0, 1, 0.9, {10, 10, 50, 50}}};
  EXPECT_THAT(causes(set, detections, 0), Contains(HasSubstr("another class")));
  detections.rows = {{0, 0, 0.9, {0.1, 0.1, 0.5, 0.5}}};
  EXPECT_THAT(causes(set, detections, 0), Contains(HasSubstr("in [0, 1]")));
  detections.rows = {{0, 0, 0.9, {80, 80, 5, 5}}};
  EXPECT_THAT(causes(set, detections, 0), Contains(HasSubstr("no detection overlaps")));
}

TEST(Causes, ASetWithoutObjectsIsRefused) {
  EXPECT_THAT(testing::error_of([] { check_objects(small_set({{}})); }), HasSubstr("no objects"));
  EXPECT_THAT(testing::error_of([] {
                check_objects(small_set({{object_at({1, 1, 5, 5}, true)}}));
              }),
              HasSubstr("neither difficult nor crowds"));
}

}  // namespace
}  // namespace invp
