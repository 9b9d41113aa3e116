// Precision against recall: of each class, and their mean.
#include <algorithm>

#include "engine/core/error.h"
#include "invp/report/html/detection_parts.h"
#include "invp/report/html/html.h"
#include "invp/report/html/sections.h"
#include "invp/report/svg/svg_chart.h"

namespace invp {

namespace {

/// Indices of the overlaps that are drawn: 0.50, 0.60, 0.75, 0.90.
constexpr std::array<std::size_t, 4> kDrawn = {kAt50, 2, kAt75, 8};

std::string overlap_name(std::size_t overlap) {
  return formatted("%.2f", 0.5 + 0.05 * static_cast<double>(overlap));
}

/// By the rule that the part is shown by; 0 where the recall is not reached.
double precision_of(const DetectionPart& part, std::size_t label, std::size_t overlap,
                    std::size_t recall_percent) {
  if (part.rule != "coco")
    return part.voc.curves[label][overlap].at(static_cast<double>(recall_percent) / 100);
  return part.coco
      .precision[part.coco.precision_at(overlap, recall_percent, label, 0, kLimits - 1)];
}

bool is_defined(const DetectionPart& part, std::size_t label) {
  return part.shown_rule().scores.ap[label][kAt50] != kUndefined;
}

/// As far as the recall is reached.
Series class_series(const DetectionPart& part, std::size_t label, std::size_t overlap,
                    std::string name) {
  constexpr std::size_t kStep = 2;
  Series series{std::move(name), {}};
  for (std::size_t recall = 0; recall <= 100; recall += kStep) {
    const double precision = precision_of(part, label, overlap, recall);
    if (precision <= 0) break;
    series.points.emplace_back(recall, 100 * precision);
  }
  return series;
}

Series mean_series(const DetectionPart& part, std::size_t overlap, std::string name) {
  Series series{std::move(name), {}};
  for (std::size_t recall = 0; recall <= 100; ++recall) {
    double sum = 0;
    int defined = 0;
    for (std::size_t c = 0; c < part.set->classes.size(); ++c) {
      if (!is_defined(part, c)) continue;
      sum += precision_of(part, c, overlap, recall);
      ++defined;
    }
    if (defined > 0) series.points.emplace_back(recall, 100 * sum / defined);
  }
  return series;
}

/// A long name would leave its panel.
std::string short_name(const std::string& name) {
  constexpr std::size_t kMost = 20;
  std::string shown;
  std::size_t letters = 0;
  const std::string whole = printable(name);
  for (std::string_view rest = whole; !rest.empty(); ++letters) {
    if (letters == kMost) return shown + "…";
    const std::size_t length = std::max<std::size_t>(1, utf8_length(rest));
    shown += rest.substr(0, length);
    rest.remove_prefix(length);
  }
  return shown;
}

/// Overlaps of one part, or several parts at 0.50.
std::string class_chart(DetectionParts parts, const std::string& name) {
  Chart chart{.title = short_name(name), .unit = {}, .series = {}};
  chart.percent = true;
  chart.legend = false;
  double best = kUndefined;
  for (const DetectionPart& part : parts) {
    const auto label = static_cast<std::size_t>(std::ranges::find(part.set->classes, name) -
                                                part.set->classes.begin());
    if (label == part.set->classes.size() || !is_defined(part, label)) {
      chart.series.push_back({part.name, {}});
      continue;
    }
    best = std::max(best, part.shown_rule().scores.ap[label][kAt50]);
    if (parts.size() > 1) {
      chart.series.push_back(class_series(part, label, kAt50, part.name));
      continue;
    }
    for (const std::size_t overlap : kDrawn)
      chart.series.push_back(class_series(part, label, overlap, "IoU " + overlap_name(overlap)));
  }
  if (best == kUndefined) return {};
  chart.unit = formatted(parts.size() > 1 ? "best AP50 %.1f" : "AP50 %.1f", 100 * best);
  return svg_panel(chart, "recall", 250, 214);
}

std::vector<std::string> all_classes(DetectionParts parts) {
  std::vector<std::string> names;
  for (const DetectionPart& part : parts) {
    for (const std::string& name : part.set->classes) {
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
  }
  return names;
}

}  // namespace

std::string mean_recall_chart(DetectionParts parts) {
  Chart chart{
      .title = "Precision against recall", .unit = "per cent, mean of classes", .series = {}};
  chart.percent = true;
  if (parts.size() > 1) {
    for (const DetectionPart& part : parts)
      chart.series.push_back(mean_series(part, kAt50, part.name));
    chart.legend = false;
  } else {
    for (const std::size_t overlap : kDrawn)
      chart.series.push_back(mean_series(parts[0], overlap, overlap_name(overlap)));
  }
  return svg_panel(chart, "recall");
}

std::string recall_section(DetectionParts parts) {
  std::string charts;
  for (const std::string& name : all_classes(parts)) charts += class_chart(parts, name);
  if (charts.empty()) return {};
  std::string out =
      "<p class=\"quiet\">Of each class with objects, in per cent: the highest precision at a "
      "recall or beyond it, as far as the recall is reached.</p>\n<p class=\"names\">\n";
  for (std::size_t i = 0; parts.size() > 1 && i < parts.size(); ++i)
    out += color_tag(i, printable(parts[i].name) + ", IoU 0.50");
  for (std::size_t i = 0; parts.size() == 1 && i < kDrawn.size(); ++i)
    out += color_tag(i, "IoU " + overlap_name(kDrawn[i]));
  return out + "</p>\n<div class=\"charts small\">\n" + charts + "</div>\n";
}

}  // namespace invp
