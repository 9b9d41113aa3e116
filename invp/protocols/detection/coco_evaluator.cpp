#include "invp/protocols/detection/coco_evaluator.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "engine/core/parallel.h"

namespace invp {
namespace {

constexpr std::array<std::size_t, kLimits> kMost = {1, 10, 100};
constexpr std::array<std::array<double, 2>, kAreas> kAreaRanges = {
    {{0, 1e10}, {0, 1024}, {1024, 9216}, {9216, 1e10}}};

/// A bit of a mask for each area and overlap.
constexpr std::uint64_t bit_of(std::size_t area, std::size_t overlap) {
  return std::uint64_t{1} << (area * kOverlaps + overlap);
}

bool out_of_range(double area, std::size_t range) {
  return area < kAreaRanges[range][0] || area > kAreaRanges[range][1];
}

/// A detection, and what it found.
struct Judged {
  double score = 0;
  std::int32_t label = 0;
  std::int32_t rank = 0;      ///< within its class and picture, from 0
  std::uint64_t matched = 0;  ///< masks
  std::uint64_t ignored = 0;
  const Detection* detection = nullptr;
  const BoxedObject* object = nullptr;  ///< at the overlap 0.50, of all areas: which it overlaps
};

/// The detections and objects of one class in one picture.
struct Pair {
  std::span<const Detection* const> detections;
  std::span<const BoxedObject* const> objects;
};

double overlap_of(const std::array<double, 4>& d, const BoxedObject& object) {
  const ObjectBox& g = object.box;
  const double width = std::min(d[0] + d[2], g.x + g.width) - std::max(d[0], g.x);
  if (width <= 0) return 0;
  const double height = std::min(d[1] + d[3], g.y + g.height) - std::max(d[1], g.y);
  if (height <= 0) return 0;
  const double both = width * height;
  const double area = d[2] * d[3];
  return both / (object.difficult ? area : area + g.area() - both);
}

/// Judges the detections of one class in one picture. Its storage is used again and again.
class Matcher {
 public:
  void judge(const Pair& pair, std::span<Judged> judged) {
    objects_ = pair.objects;
    overlaps_.resize(pair.detections.size() * objects_.size());
    for (std::size_t d = 0; d < pair.detections.size(); ++d) {
      for (std::size_t g = 0; g < objects_.size(); ++g)
        overlaps_[d * objects_.size() + g] = overlap_of(pair.detections[d]->box, *objects_[g]);
    }
    for (std::size_t area = 0; area < kAreas; ++area) {
      arrange(area);
      for (std::size_t t = 0; t < kOverlaps; ++t) match(area, t, judged);
      for (std::size_t d = 0; d < judged.size(); ++d) {
        const auto& box = pair.detections[d]->box;
        if (out_of_range(box[2] * box[3], area)) ignore_unmatched(area, judged[d]);
      }
    }
    for (std::size_t d = 0; d < judged.size(); ++d) {
      if (judged[d].object == nullptr) judged[d].object = overlapped(d);
    }
  }

 private:
  /// Those that count first, in their order.
  void arrange(std::size_t area) {
    ignored_.resize(objects_.size());
    order_.resize(objects_.size());
    std::iota(order_.begin(), order_.end(), 0);
    for (std::size_t g = 0; g < objects_.size(); ++g)
      ignored_[g] = objects_[g]->difficult || out_of_range(objects_[g]->area, area);
    std::stable_partition(order_.begin(), order_.end(),
                          [&](std::size_t g) { return !ignored_[g]; });
  }

  void match(std::size_t area, std::size_t t, std::span<Judged> judged) {
    taken_.assign(objects_.size(), false);
    for (std::size_t d = 0; d < judged.size(); ++d) {
      const std::size_t found = best_for(d, coco_overlap(t));
      if (found == objects_.size()) continue;
      taken_[found] = true;
      judged[d].matched |= bit_of(area, t);
      if (area == 0 && t == kAt50) judged[d].object = objects_[found];
      if (ignored_[found]) judged[d].ignored |= bit_of(area, t);
    }
  }

  /// objects_.size() if there is none.
  std::size_t best_for(std::size_t detection, double overlap) const {
    double best = std::min(overlap, 1 - 1e-10);
    std::size_t found = objects_.size();
    for (const std::size_t g : order_) {
      if (taken_[g] && !objects_[g]->difficult) continue;
      if (found != objects_.size() && !ignored_[found] && ignored_[g]) break;
      const double of_this = overlaps_[detection * objects_.size() + g];
      if (of_this < best) continue;
      best = of_this;
      found = g;
    }
    return found;
  }

  /// The object that it overlaps most, by 0.50 at least: others took it.
  const BoxedObject* overlapped(std::size_t detection) const {
    double most = coco_overlap(kAt50);
    const BoxedObject* found = nullptr;
    for (std::size_t g = 0; g < objects_.size(); ++g) {
      const double overlap = overlaps_[detection * objects_.size() + g];
      if (overlap < most) continue;
      most = overlap;
      found = objects_[g];
    }
    return found;
  }

  static void ignore_unmatched(std::size_t area, Judged& judged) {
    for (std::size_t t = 0; t < kOverlaps; ++t) judged.ignored |= bit_of(area, t) & ~judged.matched;
  }

  std::span<const BoxedObject* const> objects_;
  std::vector<double> overlaps_;
  std::vector<std::size_t> order_;
  std::vector<char> ignored_, taken_;
};

/// The detections of one picture, by class; those of a class in the order of their scores.
std::vector<Judged> judge_picture(std::vector<const Detection*> detections,
                                  std::span<const BoxedObject> objects, Matcher& matcher) {
  std::ranges::stable_sort(detections, [](const Detection* a, const Detection* b) {
    return a->label != b->label ? a->label < b->label : a->score > b->score;
  });
  std::vector<Judged> all;
  std::vector<const BoxedObject*> of_class;
  for (std::size_t begin = 0, end = 0; begin < detections.size(); begin = end) {
    const std::int32_t label = detections[begin]->label;
    while (end < detections.size() && detections[end]->label == label) ++end;
    const std::size_t kept = std::min(end - begin, kMost.back());
    of_class.clear();
    for (const BoxedObject& object : objects) {
      if (object.label == label && object.fault != BoxFault::kNotFinite)
        of_class.push_back(&object);
    }
    const std::size_t first = all.size();
    for (std::size_t k = 0; k < kept; ++k)
      all.push_back({.score = detections[begin + k]->score,
                     .label = label,
                     .rank = static_cast<std::int32_t>(k),
                     .detection = detections[begin + k]});
    matcher.judge({std::span(detections).subspan(begin, kept), of_class},
                  std::span(all).subspan(first));
  }
  return all;
}

/// Fills the figures of one class at one area and limit.
class Accumulator {
 public:
  Accumulator(CocoScores& scores, std::size_t label) : scores_(scores), label_(label) {}

  /// `judged` in the order of their scores; `objects` that count.
  void fill(std::span<const Judged* const> judged, std::int64_t objects, std::size_t area,
            std::size_t limit) {
    if (objects == 0) return;
    for (std::size_t t = 0; t < kOverlaps; ++t) {
      recall_.clear();
      precision_.clear();
      walk(judged, static_cast<double>(objects), bit_of(area, t), kMost[limit]);
      scores_.recall[scores_.recall_at(t, label_, area, limit)] =
          recall_.empty() ? 0 : recall_.back();
      sample(t, area, limit);
    }
  }

 private:
  void walk(std::span<const Judged* const> judged, double objects, std::uint64_t bit,
            std::size_t most) {
    constexpr double kTiny = 2.2204460492503131e-16;
    double right = 0, wrong = 0;
    for (const Judged* const one : judged) {
      if (static_cast<std::size_t>(one->rank) >= most) continue;
      const bool counts = (one->ignored & bit) == 0;
      const bool matched = (one->matched & bit) != 0;
      right += counts && matched ? 1 : 0;
      wrong += counts && !matched ? 1 : 0;
      recall_.push_back(right / objects);
      precision_.push_back(right / (wrong + right + kTiny));
    }
    for (std::size_t i = precision_.size(); i-- > 1;)
      precision_[i - 1] = std::max(precision_[i - 1], precision_[i]);
  }

  void sample(std::size_t t, std::size_t area, std::size_t limit) {
    std::size_t at = 0;
    for (std::size_t point = 0; point < kRecalls; ++point) {
      const double wanted = point + 1 == kRecalls ? 1 : static_cast<double>(point) * 0.01;
      while (at < recall_.size() && recall_[at] < wanted) ++at;
      scores_.precision[scores_.precision_at(t, point, label_, area, limit)] =
          at < recall_.size() ? precision_[at] : 0;
    }
  }

  CocoScores& scores_;
  std::size_t label_;
  std::vector<double> recall_, precision_;
};

/// By class and area.
std::vector<std::array<std::int64_t, kAreas>> counted_objects(const DetectionSet& set) {
  std::vector<std::array<std::int64_t, kAreas>> counts(set.classes.size());
  for (const BoxedObject& object : set.objects) {
    if (object.difficult || object.fault == BoxFault::kNotFinite) continue;
    for (std::size_t area = 0; area < kAreas; ++area) {
      if (!out_of_range(object.area, area)) ++counts[static_cast<std::size_t>(object.label)][area];
    }
  }
  return counts;
}

std::vector<std::vector<Judged>> judge_all(const DetectionSet& set, const Detections& sizes) {
  std::vector<std::vector<const Detection*>> of_picture(set.pictures.size());
  for (const Detection& row : sizes.rows)
    of_picture[static_cast<std::size_t>(row.picture)].push_back(&row);
  std::vector<std::vector<Judged>> judged(set.pictures.size());
  parallel_for(0, std::ssize(set.pictures), 8, [&](std::int64_t begin, std::int64_t end) {
    Matcher matcher;
    for (std::int64_t i = begin; i < end; ++i) {
      const auto picture = static_cast<std::size_t>(i);
      judged[picture] = judge_picture(std::move(of_picture[picture]), set.objects_of(i), matcher);
    }
  });
  return judged;
}

Judgment judgment_of(const Judged& judged, const DetectionSet& set) {
  using Outcome = Judgment::Outcome;
  const std::uint64_t bit = bit_of(0, kAt50);
  const bool matched = (judged.matched & bit) != 0;
  return {(judged.ignored & bit) != 0 ? Outcome::kIgnored
          : matched                   ? Outcome::kRight
          : judged.object != nullptr  ? Outcome::kTaken
                                      : Outcome::kWrong,
          judged.object == nullptr ? -1 : judged.object - set.objects.data()};
}

}  // namespace

double coco_overlap(std::size_t index) {
  return index + 1 == kOverlaps ? 0.95 : 0.5 + static_cast<double>(index) * ((0.95 - 0.5) / 9);
}

CocoScores evaluate_coco(const DetectionSet& set, const Detections& detections) {
  const Detections sizes = as_sizes(detections);
  const std::vector<std::vector<Judged>> judged = judge_all(set, sizes);
  std::vector<std::vector<const Judged*>> of_class(set.classes.size());
  for (const auto& picture : judged) {
    for (const Judged& one : picture) of_class[static_cast<std::size_t>(one.label)].push_back(&one);
  }
  const auto counts = counted_objects(set);
  CocoScores scores;
  scores.classes = set.classes.size();
  scores.judgments.resize(sizes.rows.size(), {.outcome = Judgment::Outcome::kIgnored});
  for (const auto& picture : judged) {
    for (const Judged& one : picture) {
      scores.judgments[static_cast<std::size_t>(one.detection - sizes.rows.data())] =
          judgment_of(one, set);
    }
  }
  scores.precision.assign(kOverlaps * kRecalls * scores.classes * kAreas * kLimits, kUndefined);
  scores.recall.assign(kOverlaps * scores.classes * kAreas * kLimits, kUndefined);
  parallel_for(0, std::ssize(set.classes), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; ++c) {
      const auto label = static_cast<std::size_t>(c);
      std::ranges::stable_sort(of_class[label], std::greater<>(), &Judged::score);
      Accumulator accumulator(scores, label);
      for (std::size_t area = 0; area < kAreas; ++area) {
        for (std::size_t limit = 0; limit < kLimits; ++limit)
          accumulator.fill(of_class[label], counts[label][area], area, limit);
      }
    }
  });
  return scores;
}

}  // namespace invp
