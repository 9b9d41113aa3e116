// Verdicts on detections of which one sees what is wrong, and the curves behind the figures.
#include "invp/protocols/detection/verdicts.h"

#include <gmock/gmock.h>

#include "invp/protocols/detection/coco_evaluator.h"
#include "invp/protocols/detection/voc_evaluator.h"
#include "tests/invp/protocols/detection/golden_set.h"

namespace invp {
namespace {

constexpr std::int32_t kCat = 7, kDog = 11;

/// A cat at (10, 10), 40 x 40, a dog right of it at (60, 10), and a difficult dog below, at (60,
/// 60).
DetectionSet cat_and_dogs() {
  DetectionSet set = testing::voc_set();
  set.pictures.push_back({"one", "", 0, 200, 200, 0, 3});
  for (const auto& [x, y, label, difficult] :
       {std::tuple(10, 10, kCat, false), {60, 10, kDog, false}, {60, 60, kDog, true}}) {
    const ObjectBox box{static_cast<double>(x), static_cast<double>(y), 40, 40};
    set.objects.push_back({.box = box, .area = box.area(), .label = label, .difficult = difficult});
  }
  return set;
}

Detections found(const std::vector<std::tuple<std::int32_t, double, ObjectBox>>& rows) {
  Detections detections;
  for (const auto& [label, score, box] : rows) {
    detections.rows.push_back({0, label, score, {box.x, box.y, box.right(), box.bottom()}});
  }
  return detections;
}

/// By both evaluators' judgments, which must agree on these.
Verdicts verdicts_of(const DetectionSet& set, const Detections& detections) {
  const Verdicts voc = find_verdicts(set, detections, evaluate_voc(set, detections).judgments);
  const Verdicts coco = find_verdicts(set, detections, evaluate_coco(set, detections).judgments);
  for (std::size_t i = 0; i < voc.detections.size(); ++i) {
    EXPECT_EQ(voc.detections[i].kind, coco.detections[i].kind) << i;
    EXPECT_EQ(voc.detections[i].object, coco.detections[i].object) << i;
  }
  EXPECT_EQ(voc.found_by, coco.found_by);
  return voc;
}

TEST(Verdicts, EachMistakeHasItsKind) {
  const DetectionSet set = cat_and_dogs();
  const Verdicts verdicts =
      verdicts_of(set, found({{kCat, 0.9, {10, 10, 40, 40}},    // right
                              {kCat, 0.8, {12, 10, 40, 40}},    // of the same cat
                              {kCat, 0.7, {10, 10, 40, 10}},    // a quarter of it
                              {kCat, 0.6, {60, 12, 40, 40}},    // the dog
                              {kCat, 0.5, {60, 10, 40, 10}},    // a part of the dog
                              {kDog, 0.4, {60, 60, 40, 40}},    // the difficult one
                              {kDog, 0.3, {150, 150, 20, 20}},  // nothing
                              {kDog, 0.2, {0, 0, 20, 12}}}));  // a little of the cat: under a tenth
  using enum VerdictKind;
  const std::vector<std::pair<VerdictKind, std::int64_t>> expected = {
      {kRight, 0},     {kDuplicate, 0}, {kLocalization, 0}, {kConfusion, 1},
      {kConfusion, 1}, {kIgnored, 2},   {kBackground, -1},  {kBackground, -1}};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(verdicts.detections[i].kind, expected[i].first) << i;
    EXPECT_EQ(verdicts.detections[i].object, expected[i].second) << i;
  }
  EXPECT_DOUBLE_EQ(verdicts.detections[2].overlap, 0.25);
  EXPECT_EQ(verdicts.found_by, (std::vector<std::int64_t>{0, -1, -1}));  // the dog is missed
}

TEST(Verdicts, TheHigherScoreIsRightWhateverTheOrderOfTheRows) {
  const Verdicts verdicts = verdicts_of(
      cat_and_dogs(), found({{kCat, 0.3, {10, 10, 40, 40}}, {kCat, 0.8, {12, 10, 40, 40}}}));
  EXPECT_EQ(verdicts.detections[0].kind, VerdictKind::kDuplicate);
  EXPECT_EQ(verdicts.detections[1].kind, VerdictKind::kRight);
  EXPECT_EQ(verdicts.found_by[0], 1);
}

TEST(Verdicts, AHalfOfAnotherClassWeighsMoreThanATouchOfTheOwn) {
  DetectionSet set = cat_and_dogs();
  set.objects[0].box = {60, 30, 40, 40};  // the cat overlaps the dog by half its height
  // On the dog, and on the cat by a third.
  const Verdicts verdicts = verdicts_of(set, found({{kCat, 0.9, {60, 10, 40, 40}}}));
  EXPECT_EQ(verdicts.detections[0].kind, VerdictKind::kConfusion);
  EXPECT_EQ(verdicts.detections[0].object, 1);
}

TEST(Verdicts, CocoIgnoresWhatIsBeyondTheHundredBest) {
  const DetectionSet set = cat_and_dogs();
  std::vector<std::tuple<std::int32_t, double, ObjectBox>> rows(101,
                                                                {kCat, 0.9, {150, 150, 20, 20}});
  std::get<1>(rows[0]) = 0.1;
  const Detections detections = found(rows);
  const auto judgments = evaluate_coco(set, detections).judgments;
  EXPECT_EQ(judgments[0].outcome, Judgment::Outcome::kIgnored);
  EXPECT_EQ(judgments[1].outcome, Judgment::Outcome::kWrong);
}

TEST(Verdicts, AClassWithDifficultObjectsOnlyIsJudgedToo) {
  DetectionSet set = cat_and_dogs();
  set.objects[1].difficult = true;
  const Verdicts verdicts =
      verdicts_of(set, found({{kDog, 0.9, {60, 10, 40, 40}}, {kDog, 0.8, {150, 150, 20, 20}}}));
  EXPECT_EQ(verdicts.detections[0].kind, VerdictKind::kIgnored);
  EXPECT_EQ(verdicts.detections[1].kind, VerdictKind::kBackground);
}

TEST(Verdicts, TheBestScoreBalancesRightAndMissed) {
  const DetectionSet set = cat_and_dogs();
  const Detections detections = found({{kCat, 0.9, {10, 10, 40, 40}},
                                       {kDog, 0.6, {60, 10, 40, 40}},
                                       {kDog, 0.5, {150, 150, 20, 20}},
                                       {kDog, 0.4, {120, 150, 20, 20}}});
  const BestScore best = best_score(set, detections, verdicts_of(set, detections));
  EXPECT_EQ(best.score, 0.6);
  EXPECT_DOUBLE_EQ(best.f1, 1);
  const Detections wrong = found({{kDog, 0.5, {150, 150, 20, 20}}});
  EXPECT_EQ(best_score(set, wrong, verdicts_of(set, wrong)).f1, 0);
  EXPECT_EQ(best_score(set, found({}), verdicts_of(set, found({}))).f1, 0);
}

TEST(PrecisionRecallCurves, SumUpToTheFigures) {
  const testing::json golden = testing::golden_json("eval_voc.json")["main"];
  const DetectionSet set = testing::golden_voc_set(golden);
  const VocScores scores = evaluate_voc(set, testing::golden_voc_detections(golden, set));
  int curves = 0;
  for (std::size_t c = 0; c < set.classes.size(); ++c) {
    for (std::size_t t = 0; t < kOverlaps; ++t) {
      const PrecisionRecall& curve = scores.curves[c][t];
      if (scores.area.ap[c][t] == kUndefined) {
        EXPECT_TRUE(curve.recall.empty());
        continue;
      }
      // Under the steps: as wide as the recall that a right detection gains.
      double area = 0, eleven = 0;
      for (std::size_t i = 0; i < curve.recall.size(); ++i)
        area += (curve.recall[i] - (i > 0 ? curve.recall[i - 1] : 0)) * curve.at(curve.recall[i]);
      for (int i = 0; i <= 10; ++i) eleven += curve.at(i * 0.1) / 11;
      EXPECT_NEAR(area, scores.area.ap[c][t], 1e-12);
      EXPECT_NEAR(eleven, scores.eleven_point.ap[c][t], 1e-12);
      EXPECT_TRUE(std::ranges::is_sorted(curve.recall));
      EXPECT_TRUE(std::ranges::is_sorted(curve.precision, std::greater<>()));
      curves += curve.recall.empty() ? 0 : 1;
    }
  }
  EXPECT_GT(curves, 20);
}

TEST(Judgments, AgreeWithRecall) {
  const testing::json golden = testing::golden_json("eval_coco.json");
  const testing::TempFolder folder;
  const DetectionSet set =
      open_boxes(folder.write("instances_val.json", golden["ground_truth"].dump()),
                 {.split = "val", .pictures = false});
  const Detections detections =
      read_detections(folder.write("results.json", golden["detections"].dump()), set);
  const CocoScores scores = evaluate_coco(set, detections);
  std::vector<double> right(set.classes.size()), objects(set.classes.size());
  for (std::size_t i = 0; i < scores.judgments.size(); ++i) {
    if (scores.judgments[i].outcome == Judgment::Outcome::kRight)
      ++right[static_cast<std::size_t>(detections.rows[i].label)];
  }
  for (const BoxedObject& object : set.objects)
    objects[static_cast<std::size_t>(object.label)] += counts(object) ? 1 : 0;
  for (std::size_t c = 0; c < set.classes.size(); ++c) {
    if (objects[c] > 0) {
      EXPECT_NEAR(right[c] / objects[c], scores.recall[scores.recall_at(kAt50, c, 0, 2)], 1e-12);
    }
  }
}

}  // namespace
}  // namespace invp
