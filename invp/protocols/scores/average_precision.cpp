#include "invp/protocols/scores/average_precision.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/core/error.h"

namespace invp {

namespace {

constexpr double kTiePenalty = 1e-5;

struct Ranked {
  double score;
  bool positive;
};

struct CurvePoint {
  double recall, precision;
};

/// One point per threshold, from the highest score down. Empty if there are no positives.
std::vector<CurvePoint> curve_of(std::vector<Ranked> ranked) {
  std::ranges::sort(ranked, std::greater(), &Ranked::score);
  const auto positives = static_cast<double>(std::ranges::count(ranked, true, &Ranked::positive));
  std::vector<CurvePoint> curve;
  if (positives == 0) return curve;
  double found = 0;
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    found += ranked[i].positive ? 1 : 0;
    if (i + 1 < ranked.size() && ranked[i + 1].score == ranked[i].score) continue;
    curve.push_back({.recall = found / positives, .precision = found / static_cast<double>(i + 1)});
  }
  return curve;
}

double area(const std::vector<CurvePoint>& curve) {
  double sum = 0;
  double recall = 0;
  for (const CurvePoint& point : curve) {
    sum += (point.recall - recall) * point.precision;
    recall = point.recall;
  }
  return sum;
}

double highest_from(const std::vector<CurvePoint>& curve, double recall) {
  double highest = 0;
  for (const CurvePoint& point : curve) {
    if (point.recall >= recall) highest = std::max(highest, point.precision);
  }
  return highest;
}

}  // namespace

AveragePrecision average_precision(std::span<const float> scores,
                                   std::span<const Presence> presences) {
  CHECK(scores.size() == presences.size(), "[average precision] ", scores.size(), " scores for ",
        presences.size(), " pictures");
  std::vector<Ranked> ranked;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (presences[i] == Presence::kUnclear) continue;
    const auto score = static_cast<double>(scores[i]);
    ranked.push_back({.score = std::isnan(score) ? -std::numeric_limits<double>::infinity() : score,
                      .positive = presences[i] == Presence::kPresent});
  }
  std::vector<CurvePoint> curve = curve_of(ranked);
  AveragePrecision result;
  constexpr int kPoints = 11;
  for (int i = 0; i < kPoints; ++i)
    result.eleven_point += highest_from(curve, i / double{kPoints - 1}) / kPoints;
  for (std::size_t i = curve.size(); i-- > 1;)
    curve[i - 1].precision = std::max(curve[i - 1].precision, curve[i].precision);
  result.envelope = area(curve);

  for (Ranked& item : ranked) item.score -= item.positive ? kTiePenalty : 0;
  result.step = area(curve_of(std::move(ranked)));
  return result;
}

}  // namespace invp
