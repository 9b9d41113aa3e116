// Average precision and recall as COCO's evaluator computes them.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "data/detection/detections.h"
#include "invp/protocols/detection/rule_scores.h"

namespace invp {

/// Areas of objects: all, small (up to 32 x 32), medium, large (from 96 x 96).
inline constexpr std::size_t kAreas = 4;
/// The most detections of a class in a picture that count: 1, 10, 100.
inline constexpr std::size_t kLimits = 3;
inline constexpr std::size_t kRecalls = 101;

/// COCO's twelve figures, in its order.
inline constexpr std::array kCocoFigures = {"ap",  "ap50", "ap75",  "aps", "apm", "apl",
                                            "ar1", "ar10", "ar100", "ars", "arm", "arl"};

struct CocoScores {
  std::size_t classes = 0;
  std::vector<double>
      precision;  ///< [overlap][recall][class][area][limit]; kUndefined without objects
  std::vector<double> recall;       ///< [overlap][class][area][limit]
  std::vector<Judgment> judgments;  ///< by row of the detections; of all areas

  /// Where these stand in the two lists.
  std::size_t precision_at(std::size_t overlap, std::size_t point, std::size_t label,
                           std::size_t area, std::size_t limit) const;
  std::size_t recall_at(std::size_t overlap, std::size_t label, std::size_t area,
                        std::size_t limit) const;
  /// In [0, 1], or kUndefined where no object is of that size.
  std::array<double, kCocoFigures.size()> figures() const;
  /// With 100 detections.
  RuleScores average_precision(std::size_t area = 0) const;
};

/// Of each class in each picture the 100 detections of the highest score count, ties in their
/// order. Each takes the free object that it overlaps most, the last one of equals. Crowds
/// (difficult objects) and objects of other areas are only taken where no other fits, and such a
/// detection does not count; crowds are taken any number of times, and their overlap is that with
/// the detection's area alone. The same bits for any number of threads.
///
/// One difference to pycocotools: an object whose id is 0 can be found.
CocoScores evaluate_coco(const DetectionSet& set, const Detections& detections);

/// 0.5, 0.55, ... as COCO's evaluator has them in f64: the ninth is below 0.9.
double coco_overlap(std::size_t index);

}  // namespace invp
