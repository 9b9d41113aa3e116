#include "invp/protocols/detection/rules.h"

namespace invp {

std::array<Rule, 3> rules_of(const VocScores& voc, const CocoScores& coco) {
  return {Rule{"voc07", "VOC2007, 11 points", voc.eleven_point},
          Rule{"voc12", "VOC2012, area", voc.area}, Rule{"coco", "COCO", coco.average_precision()}};
}

std::string usual_rule(const DetectionSet& set) {
  if (set.format == BoxFormat::kCoco) return "coco";
  return set.split.find("2007") != std::string::npos ? "voc07" : "voc12";
}

}  // namespace invp
