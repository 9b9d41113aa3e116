#include "invp/protocols/detection/usual_precision.h"

#include "invp/protocols/detection/rules.h"

namespace invp {

namespace {

double percent(double value) {
  return value == kUndefined ? kUndefined : 100 * value;
}

}  // namespace

AveragePrecision usual_precision(const DetectionSet& set, const Detections& detections) {
  const std::string rule = usual_rule(set);
  RuleScores scores;
  if (rule == "coco") {
    scores = evaluate_coco(set, detections).average_precision();
  } else {
    VocScores voc = evaluate_voc(set, detections);
    scores = std::move(rule == "voc07" ? voc.eleven_point : voc.area);
  }
  return {.ap = percent(scores.mean()),
          .ap50 = percent(scores.mean_at(kAt50)),
          .ap75 = percent(scores.mean_at(kAt75))};
}

}  // namespace invp
