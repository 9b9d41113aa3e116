// Average precision as PASCAL VOC's devkits compute it, at ten overlaps.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "data/detection/detections.h"
#include "invp/protocols/detection/rule_scores.h"

namespace invp {

struct VocScores {
  RuleScores eleven_point;  ///< VOC2007's rule
  RuleScores area;          ///< from VOC2010 on
  /// By class, at the ten overlaps: what both rules sum up. Empty for undefined classes.
  std::vector<std::array<PrecisionRecall, kOverlaps>> curves;
  std::vector<Judgment> judgments;  ///< by row of the detections
};

/// Detections are taken in the order of their scores, ties in their own order, as VOC's text has
/// them (as_voc_text). Each goes to the object of its class and picture that it overlaps most;
/// pixels count whole, so that a box from 1 to 1 is one wide. Above the overlap it is right if the
/// object was not claimed before, and does not count if the object is difficult. Otherwise it is
/// wrong. Classes without an object that is not difficult are undefined: the devkits' means take
/// them for 0 or not a number. The same bits for any number of threads.
VocScores evaluate_voc(const DetectionSet& set, const Detections& detections);

}  // namespace invp
