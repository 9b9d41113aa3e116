#include "invp/protocols/detection/rule_scores.h"

#include <algorithm>

namespace invp {

double PrecisionRecall::at(double recall_wanted) const {
  const auto reached = std::ranges::lower_bound(recall, recall_wanted);
  return reached == recall.end() ? 0
                                 : precision[static_cast<std::size_t>(reached - recall.begin())];
}

double RuleScores::mean_at(std::size_t overlap, EmptyClasses empty) const {
  double sum = 0;
  std::int64_t classes = 0;
  for (const auto& of_class : ap) {
    if (of_class[overlap] == kUndefined) continue;
    sum += of_class[overlap];
    ++classes;
  }
  if (classes == 0) return kUndefined;
  return sum / static_cast<double>(empty == EmptyClasses::kZero ? std::ssize(ap) : classes);
}

double RuleScores::mean(EmptyClasses empty) const {
  double sum = 0;
  for (std::size_t overlap = 0; overlap < kOverlaps; ++overlap) {
    const double mean = mean_at(overlap, empty);
    if (mean == kUndefined) return kUndefined;
    sum += mean;
  }
  return sum / kOverlaps;
}

double RuleScores::mean_of(std::size_t label) const {
  double sum = 0;
  for (const double at : ap[label]) {
    if (at == kUndefined) return kUndefined;
    sum += at;
  }
  return sum / kOverlaps;
}

}  // namespace invp
