#include "invp/protocols/detection/usual_rule.h"

#include "invp/protocols/detection/coco_evaluator.h"
#include "invp/protocols/detection/voc_evaluator.h"

namespace invp {

namespace {

double percent(double value) {
  return value == kUndefined ? kUndefined : 100 * value;
}

}  // namespace

std::string usual_metric(const DetectionSet& set) {
  if (set.format == BoxFormat::kCoco) return "coco";
  return set.split.find("2007") != std::string::npos ? "voc07" : "voc12";
}

AveragePrecision usual_precision(const DetectionSet& set, const Detections& detections) {
  const std::string metric = usual_metric(set);
  const RuleScores scores = metric == "coco"    ? evaluate_coco(set, detections).average_precision()
                            : metric == "voc07" ? evaluate_voc(set, detections).eleven_point
                                                : evaluate_voc(set, detections).area;
  return {.ap = percent(scores.mean()),
          .ap50 = percent(scores.mean_at(kAt50)),
          .ap75 = percent(scores.mean_at(kAt75))};
}

}  // namespace invp
