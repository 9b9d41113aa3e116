#include "invp/protocols/detection/verdicts.h"

#include <algorithm>
#include <numeric>

#include "engine/core/error.h"
#include "engine/core/parallel.h"

namespace invp {
namespace {

constexpr double kHalf = 0.5;
constexpr double kTouches = 0.1;

double overlap_of(const std::array<double, 4>& box, const ObjectBox& object) {
  const double width = std::min(box[0] + box[2], object.right()) - std::max(box[0], object.x);
  const double height = std::min(box[1] + box[3], object.bottom()) - std::max(box[1], object.y);
  if (!(width > 0 && height > 0)) return 0;
  const double both = width * height;
  return both / (box[2] * box[3] + object.area() - both);
}

/// The objects of a picture that a detection overlaps most: of its own class, and of others.
struct Nearest {
  Verdict own, other;
};
Nearest nearest_to(const DetectionSet& set, const Detection& row) {
  Nearest nearest;
  const BoxedPicture& picture = set.pictures[static_cast<std::size_t>(row.picture)];
  for (std::int64_t i = 0; i < picture.objects; ++i) {
    const std::int64_t number = picture.first_object + i;
    const BoxedObject& object = set.objects[static_cast<std::size_t>(number)];
    Verdict& best = object.label == row.label ? nearest.own : nearest.other;
    const double overlap = overlap_of(row.box, object.box);
    if (overlap <= best.overlap) continue;
    best.overlap = overlap;
    best.object = number;
  }
  return nearest;
}

Verdict mistake_of(const Nearest& nearest) {
  const auto as = [](VerdictKind kind, Verdict verdict) {
    verdict.kind = kind;
    return verdict;
  };
  if (nearest.other.overlap >= kHalf) return as(VerdictKind::kConfusion, nearest.other);
  if (nearest.own.overlap >= kTouches) return as(VerdictKind::kLocalization, nearest.own);
  if (nearest.other.overlap >= kTouches) return as(VerdictKind::kConfusion, nearest.other);
  return {};
}

Verdict verdict_of(const DetectionSet& set, const Detection& row, const Judgment& judgment) {
  using Outcome = Judgment::Outcome;
  if (judgment.outcome == Outcome::kWrong) return mistake_of(nearest_to(set, row));
  Verdict verdict{.kind = judgment.outcome == Outcome::kRight     ? VerdictKind::kRight
                          : judgment.outcome == Outcome::kIgnored ? VerdictKind::kIgnored
                                                                  : VerdictKind::kDuplicate,
                  .object = judgment.object};
  if (judgment.object >= 0) {
    verdict.overlap =
        overlap_of(row.box, set.objects[static_cast<std::size_t>(judgment.object)].box);
  }
  return verdict;
}

}  // namespace

bool counts(const BoxedObject& object) {
  return !object.difficult && object.fault != BoxFault::kNotFinite;
}

Verdicts find_verdicts(const DetectionSet& set, const Detections& detections,
                       std::span<const Judgment> judgments) {
  CHECK(judgments.size() == detections.rows.size(),
        "[find_verdicts] the judgments are of other detections");
  const Detections sizes = as_sizes(detections);
  Verdicts verdicts;
  verdicts.detections.resize(judgments.size());
  parallel_for(0, std::ssize(judgments), 256, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
      verdicts.detections[i] = verdict_of(set, sizes.rows[i], judgments[i]);
  });
  verdicts.found_by.assign(set.objects.size(), -1);
  for (std::size_t i = 0; i < judgments.size(); ++i) {
    if (judgments[i].outcome == Judgment::Outcome::kRight) {
      verdicts.found_by[static_cast<std::size_t>(judgments[i].object)] =
          static_cast<std::int64_t>(i);
    }
  }
  return verdicts;
}

BestScore best_score(const DetectionSet& set, const Detections& detections,
                     const Verdicts& verdicts) {
  std::vector<std::size_t> order(detections.rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater<>(),
                           [&](std::size_t i) { return detections.rows[i].score; });
  const auto objects = static_cast<double>(std::ranges::count_if(set.objects, counts));
  BestScore best;
  double right = 0, wrong = 0;
  for (std::size_t k = 0; k < order.size(); ++k) {
    const VerdictKind kind = verdicts.detections[order[k]].kind;
    right += kind == VerdictKind::kRight ? 1 : 0;
    wrong += kind != VerdictKind::kRight && kind != VerdictKind::kIgnored ? 1 : 0;
    const double score = detections.rows[order[k]].score;
    // Detections of one score are shown or left out together.
    if (k + 1 < order.size() && detections.rows[order[k + 1]].score == score) continue;
    const double f1 = right > 0 ? 2 * right / (right + wrong + objects) : 0;
    if (f1 > best.f1) best = {score, f1};
  }
  return best;
}

}  // namespace invp
