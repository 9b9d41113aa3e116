// Average precision by one rule: of each class, at ten overlaps, and their means.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace invp {

/// Overlaps (IoU) from which a detection counts: 0.50, 0.55, ... 0.95.
inline constexpr std::size_t kOverlaps = 10;
inline constexpr std::size_t kAt50 = 0, kAt75 = 5;

/// What a rule leaves undefined, as COCO's figures show it.
inline constexpr double kUndefined = -1;

/// How a mean takes classes without objects.
enum class EmptyClasses : std::uint8_t {
  kLeftOut,
  kZero,  ///< as detectron2's VOC evaluator does
};

/// Precision against recall: a point for each detection that is right, in the order of their
/// scores. Each precision is the highest at its recall or a higher one.
struct PrecisionRecall {
  std::vector<double> recall, precision;

  /// The precision at a recall: 0 above those that were reached.
  double at(double recall_wanted) const;
};

/// How one detection fared at the overlap 0.50 with the objects of its class.
struct Judgment {
  enum class Outcome : std::uint8_t {
    kWrong,  ///< overlaps no object by that much
    kTaken,  ///< does, but a detection of a higher score took the object
    kRight,
    kIgnored,  ///< neither: on a difficult object or a crowd, or beyond COCO's 100 per picture
  };
  Outcome outcome = Outcome::kWrong;
  std::int64_t object = -1;  ///< row of DetectionSet::objects that it overlaps; -1: none

  friend bool operator==(const Judgment&, const Judgment&) = default;
};

struct RuleScores {
  /// By class; in [0, 1], or kUndefined for a class without objects.
  std::vector<std::array<double, kOverlaps>> ap;

  /// Over the classes; kUndefined if none has objects.
  double mean_at(std::size_t overlap, EmptyClasses empty = EmptyClasses::kLeftOut) const;
  /// Over the classes and the ten overlaps.
  double mean(EmptyClasses empty = EmptyClasses::kLeftOut) const;
  /// Of one class, over the ten overlaps.
  double mean_of(std::size_t label) const;
};

}  // namespace invp
