#include "invp/protocols/detection/voc_evaluator.h"

#include <algorithm>
#include <span>

#include "engine/core/parallel.h"

namespace invp {
namespace {

/// xmin, ymin, xmax, ymax; the last pixel is within.
using Corners = std::array<double, 4>;

struct Object {
  Corners corners;
  std::int64_t row = 0;  ///< of DetectionSet::objects
  bool difficult = false;
  std::uint16_t claimed = 0;  ///< a bit for each overlap
};

/// The objects of one class, by picture.
struct ClassObjects {
  std::vector<Object> objects;
  std::vector<std::size_t> first;  ///< by picture, and the end
  std::int64_t counted = 0;        ///< those that are not difficult
};

ClassObjects objects_of_class(const DetectionSet& set, std::int32_t label) {
  ClassObjects found;
  for (std::int64_t i = 0; i < std::ssize(set.pictures); ++i) {
    found.first.push_back(found.objects.size());
    for (const BoxedObject& object : set.objects_of(i)) {
      if (object.label != label || object.fault == BoxFault::kNotFinite) continue;
      const ObjectBox& box = object.box;
      found.objects.push_back({{box.x + 1, box.y + 1, box.right(), box.bottom()},
                               &object - set.objects.data(),
                               object.difficult});
      found.counted += object.difficult ? 0 : 1;
    }
  }
  found.first.push_back(found.objects.size());
  return found;
}

double area_of(const Corners& box) {
  return (box[2] - box[0] + 1) * (box[3] - box[1] + 1);
}

double overlap_of(const Corners& a, const Corners& b) {
  const double width = std::max(std::min(a[2], b[2]) - std::max(a[0], b[0]) + 1, 0.0);
  const double height = std::max(std::min(a[3], b[3]) - std::max(a[1], b[1]) + 1, 0.0);
  const double both = width * height;
  return both / (area_of(a) + area_of(b) - both);
}

/// Makes a curve, detection by detection.
struct Counter {
  PrecisionRecall curve;
  double right = 0, wrong = 0;

  void add(bool is_right, bool is_wrong, double objects) {
    right += is_right ? 1 : 0;
    wrong += is_wrong ? 1 : 0;
    if (!is_right) return;
    curve.recall.push_back(right / objects);
    curve.precision.push_back(right / (right + wrong));
  }
  PrecisionRecall finish() && {
    std::vector<double>& precision = curve.precision;
    for (std::size_t i = precision.size(); i-- > 1;)
      precision[i - 1] = std::max(precision[i - 1], precision[i]);
    return std::move(curve);
  }
};

double eleven_point(const PrecisionRecall& curve) {
  double sum = 0;
  for (int i = 0; i <= 10; ++i) sum += curve.at(i * 0.1) / 11;
  return sum;
}

double area_under(const PrecisionRecall& curve) {
  double sum = 0, before = 0;
  for (std::size_t i = 0; i < curve.recall.size(); ++i) {
    sum += (curve.recall[i] - before) * curve.precision[i];
    before = curve.recall[i];
  }
  return sum;
}

constexpr double overlap_at(std::size_t index) {
  return static_cast<double>(50 + 5 * index) / 100;
}

/// A detection with its row.
struct Entry {
  const Detection* detection;
  std::size_t row;
};

/// Judges the detections of one class, which come in the order of their scores.
std::array<Counter, kOverlaps> judge(ClassObjects& objects, std::span<const Entry> detections,
                                     std::vector<Judgment>& judgments) {
  using Outcome = Judgment::Outcome;
  std::array<Counter, kOverlaps> counters;
  const auto counted = static_cast<double>(objects.counted);
  for (const auto& [detection, row] : detections) {
    const auto picture = static_cast<std::size_t>(detection->picture);
    double most = -1;
    Object* best = nullptr;
    for (std::size_t k = objects.first[picture]; k < objects.first[picture + 1]; ++k) {
      const double overlap = overlap_of(detection->box, objects.objects[k].corners);
      if (overlap <= most) continue;
      most = overlap;
      best = &objects.objects[k];
    }
    for (std::size_t t = 0; t < kOverlaps; ++t) {
      const auto bit = static_cast<std::uint16_t>(1U << t);
      const bool hit = most > overlap_at(t);
      const bool no_matter = hit && best->difficult;
      const bool right = hit && !no_matter && (best->claimed & bit) == 0;
      if (right) best->claimed |= bit;
      counters[t].add(right, !right && !no_matter, counted);
      if (t == kAt50 && hit) {
        judgments[row] = {right       ? Outcome::kRight
                          : no_matter ? Outcome::kIgnored
                                      : Outcome::kTaken,
                          best->row};
      }
    }
  }
  return counters;
}

}  // namespace

VocScores evaluate_voc(const DetectionSet& set, const Detections& detections) {
  const Detections text = as_voc_text(detections);
  std::vector<std::vector<Entry>> of_class(set.classes.size());
  for (const Detection& row : text.rows) {
    of_class[static_cast<std::size_t>(row.label)].push_back(
        {&row, static_cast<std::size_t>(&row - text.rows.data())});
  }

  VocScores scores;
  scores.eleven_point.ap.resize(set.classes.size());
  scores.area.ap.resize(set.classes.size());
  scores.curves.resize(set.classes.size());
  scores.judgments.resize(text.rows.size());
  parallel_for(0, std::ssize(set.classes), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; ++c) {
      const auto label = static_cast<std::size_t>(c);
      scores.eleven_point.ap[label].fill(kUndefined);
      scores.area.ap[label].fill(kUndefined);
      ClassObjects objects = objects_of_class(set, static_cast<std::int32_t>(c));
      std::ranges::stable_sort(of_class[label], std::greater<>(),
                               [](const Entry& entry) { return entry.detection->score; });
      auto counters = judge(objects, of_class[label], scores.judgments);
      if (objects.counted == 0) continue;
      for (std::size_t t = 0; t < kOverlaps; ++t) {
        PrecisionRecall& curve = scores.curves[label][t];
        curve = std::move(counters[t]).finish();
        scores.eleven_point.ap[label][t] = eleven_point(curve);
        scores.area.ap[label][t] = area_under(curve);
      }
    }
  });
  return scores;
}

}  // namespace invp
