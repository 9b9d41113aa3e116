// Detections on a page: figures, curves, pictures beside the objects, mistakes and misses.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/detection/detections.h"
#include "invp/protocols/detection/rules.h"
#include "invp/protocols/detection/verdicts.h"
#include "invp/report/html/whole_page.h"

namespace invp {

/// Detections of one run or file, judged.
struct DetectionPart {
  std::string name;
  std::size_t number = 0;  ///< decides its color in every chart
  std::shared_ptr<const DetectionSet> set;
  Detections detections;  ///< as sizes
  std::string rule;       ///< the one whose figures are shown: "voc07", "voc12" or "coco"
  std::array<Rule, 3> rules;
  VocScores voc;
  CocoScores coco;
  Verdicts verdicts;  ///< by that rule
  BestScore best;

  const Rule& shown_rule() const;
  const std::string& class_name(std::int32_t label) const {
    return set->classes[static_cast<std::size_t>(label)];
  }
  bool is_shown(const Detection& row) const { return row.score >= best.score; }
};

/// `voc` and `coco` are the scores of these detections. An empty `rule` is the usual one.
DetectionPart detection_part(std::string name, std::shared_ptr<const DetectionSet> set,
                             const Detections& detections, VocScores voc, CocoScores coco,
                             const std::string& rule = {});

struct DetectionPageOptions {
  int pictures = 8;  ///< shown whole, spread evenly over those with objects
  int crops = 8;     ///< of each kind of mistake, and of misses
};

class Missing;

/// The sections on detections, of one part or several side by side. Adds to `missing` the pictures
/// that cannot be read.
std::vector<PageSection> detection_sections(std::span<const DetectionPart> parts,
                                            const DetectionPageOptions& options, Missing& missing);

/// The page of `invp detect eval --report`, which holds `remarks` too.
std::string detection_html(const DetectionPart& part, const std::vector<std::string>& remarks,
                           const DetectionPageOptions& options = {});

}  // namespace invp
