// The three rules of average precision, by the names of --metric.
#pragma once

#include <array>
#include <string>

#include "invp/protocols/detection/coco_evaluator.h"
#include "invp/protocols/detection/voc_evaluator.h"

namespace invp {

struct Rule {
  std::string name;   ///< "voc07", "voc12", "coco"
  std::string title;  ///< "VOC2007, 11 points"
  RuleScores scores;
};
std::array<Rule, 3> rules_of(const VocScores& voc, const CocoScores& coco);

/// The rule that results on such a set are given by: "voc07" for VOC2007, "voc12" for later years.
std::string usual_rule(const DetectionSet& set);

}  // namespace invp
