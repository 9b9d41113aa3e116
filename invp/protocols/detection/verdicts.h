// What is right and what is wrong with each detection, for people: kinds of mistakes, and misses.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "data/detection/detections.h"
#include "invp/protocols/detection/rule_scores.h"

namespace invp {

/// Overlaps are IoU in pixels. The kinds of wrong detections follow Hoiem, Chodpathumwan and Dai
/// (Diagnosing Error in Object Detectors, 2012); a detection is the first of them that fits.
enum class VerdictKind : std::uint8_t {
  kRight,
  kIgnored,       ///< as Judgment::Outcome::kIgnored
  kDuplicate,     ///< the object was found by a detection of a higher score
  kConfusion,     ///< with an object of another class: by 0.50, or by 0.10 and no own one by 0.10
  kLocalization,  ///< overlaps an object of its class, by 0.10 but not by 0.50
  kBackground,    ///< overlaps no object by 0.10
};
inline constexpr std::array kMistakes = {VerdictKind::kDuplicate, VerdictKind::kConfusion,
                                         VerdictKind::kLocalization, VerdictKind::kBackground};

struct Verdict {
  VerdictKind kind = VerdictKind::kBackground;
  std::int64_t object = -1;  ///< row of DetectionSet::objects that explains it; -1: none
  double overlap = 0;        ///< with that object
};

struct Verdicts {
  std::vector<Verdict> detections;     ///< by row of the detections
  std::vector<std::int64_t> found_by;  ///< by object: row of the right detection; -1: none
};

/// `judgments` of either evaluator.
Verdicts find_verdicts(const DetectionSet& set, const Detections& detections,
                       std::span<const Judgment> judgments);

/// Can the object be found or missed? Not difficult ones, crowds, and boxes that are not numbers.
bool counts(const BoxedObject& object);

/// The score from which on detections are worth showing: that of the highest F1, the harmonic mean
/// of precision and recall, over all classes.
struct BestScore {
  double score = 0;
  double f1 = 0;  ///< 0 if no detection is right
};
BestScore best_score(const DetectionSet& set, const Detections& detections,
                     const Verdicts& verdicts);

}  // namespace invp
