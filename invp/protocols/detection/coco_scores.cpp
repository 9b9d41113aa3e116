#include <algorithm>
#include <initializer_list>

#include "invp/protocols/detection/coco_evaluator.h"

namespace invp {
namespace {

/// Over the entries that are defined.
class Mean {
 public:
  void add(double value) {
    if (value == kUndefined) return;
    sum_ += value;
    ++count_;
  }
  double value() const { return count_ > 0 ? sum_ / static_cast<double>(count_) : kUndefined; }

 private:
  double sum_ = 0;
  std::int64_t count_ = 0;
};

}  // namespace

std::size_t CocoScores::precision_at(std::size_t overlap, std::size_t point, std::size_t label,
                                     std::size_t area, std::size_t limit) const {
  return (((overlap * kRecalls + point) * classes + label) * kAreas + area) * kLimits + limit;
}

std::size_t CocoScores::recall_at(std::size_t overlap, std::size_t label, std::size_t area,
                                  std::size_t limit) const {
  return ((overlap * classes + label) * kAreas + area) * kLimits + limit;
}

std::array<double, kCocoFigures.size()> CocoScores::figures() const {
  constexpr std::size_t kAll = 0, kHundred = kLimits - 1;
  const auto ap = [&](std::size_t area, std::size_t first, std::size_t last) {
    Mean mean;
    for (std::size_t t = first; t <= last; ++t) {
      for (std::size_t point = 0; point < kRecalls; ++point) {
        for (std::size_t label = 0; label < classes; ++label)
          mean.add(precision[precision_at(t, point, label, area, kHundred)]);
      }
    }
    return mean.value();
  };
  const auto ar = [&](std::size_t area, std::size_t limit) {
    Mean mean;
    for (std::size_t t = 0; t < kOverlaps; ++t) {
      for (std::size_t label = 0; label < classes; ++label)
        mean.add(recall[recall_at(t, label, area, limit)]);
    }
    return mean.value();
  };
  constexpr std::size_t kLast = kOverlaps - 1;
  return {ap(kAll, 0, kLast),
          ap(kAll, kAt50, kAt50),
          ap(kAll, kAt75, kAt75),
          ap(1, 0, kLast),
          ap(2, 0, kLast),
          ap(3, 0, kLast),
          ar(kAll, 0),
          ar(kAll, 1),
          ar(kAll, kHundred),
          ar(1, kHundred),
          ar(2, kHundred),
          ar(3, kHundred)};
}

RuleScores CocoScores::average_precision(std::size_t area) const {
  RuleScores scores;
  scores.ap.resize(classes);
  for (std::size_t label = 0; label < classes; ++label) {
    for (std::size_t t = 0; t < kOverlaps; ++t) {
      Mean mean;
      for (std::size_t point = 0; point < kRecalls; ++point)
        mean.add(precision[precision_at(t, point, label, area, kLimits - 1)]);
      scores.ap[label][t] = mean.value();
    }
  }
  return scores;
}

}  // namespace invp
