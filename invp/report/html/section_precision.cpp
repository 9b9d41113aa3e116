// Average precision: the figures, over the ten overlaps, by the size of objects, of each class.
#include <algorithm>

#include "engine/core/error.h"
#include "invp/report/html/detection_parts.h"
#include "invp/report/html/html.h"
#include "invp/report/svg/svg_chart.h"

namespace invp {

namespace {

/// In per cent, as the rest of the page.
std::string percent(double value) {
  return value == kUndefined ? "–" : formatted("%.1f", 100 * value);
}

std::string tiles_of(const DetectionPart& part) {
  const Rule& rule = part.shown_rule();
  const auto figure = [](const std::string& what, const std::string& value) {
    return message("<div><dt>", html_escaped(what), "</dt><dd>", html_escaped(value),
                   "</dd></div>\n");
  };
  const auto objects = std::ranges::count_if(part.set->objects, counts);
  return message(
      "<dl class=\"facts\">\n", figure("AP50", percent(rule.scores.mean_at(kAt50)) + " %"),
      figure("AP75", percent(rule.scores.mean_at(kAt75)) + " %"),
      figure("AP, 0.50 to 0.95", percent(rule.scores.mean()) + " %"), figure("Rule", rule.title),
      figure("Objects that count", std::to_string(objects)),
      figure("Detections", std::to_string(part.detections.rows.size())),
      figure("Highest F1", percent(part.best.f1) + " %"),
      figure("at a score of", part.best.f1 > 0 ? formatted("%.3g", part.best.score) : "–"),
      "</dl>\n");
}

Series over_overlaps(const std::string& name, const RuleScores& scores) {
  Series series{name, {}};
  for (std::size_t t = 0; t < kOverlaps; ++t) {
    const double mean = scores.mean_at(t);
    if (mean != kUndefined) series.points.emplace_back(50 + 5 * t, 100 * mean);
  }
  return series;
}

/// The three rules of one part, or several parts by the rules that they are shown by.
std::string overlaps_chart(DetectionParts parts) {
  Chart chart{.title = "AP over the overlaps", .unit = "per cent, mean of classes", .series = {}};
  if (parts.size() > 1) {
    for (const DetectionPart& part : parts)
      chart.series.push_back(over_overlaps(part.name, part.shown_rule().scores));
    chart.legend = false;
  } else {
    for (const Rule& rule : parts[0].rules) {
      if (parts[0].set->format == BoxFormat::kVoc || rule.name == "coco")
        chart.series.push_back(over_overlaps(rule.name, rule.scores));
    }
  }
  chart.from_zero = true;
  return svg_panel(chart, "overlap (IoU), per cent");
}

std::string sizes_table(const DetectionPart& part) {
  constexpr std::array kNames = {"small, up to 32 × 32 pixels", "medium", "large, from 96 × 96"};
  constexpr std::size_t kPrecision = 3, kRecall = 9;  // in COCO's twelve
  const auto figures = part.coco.figures();
  std::string out =
      "<div class=\"wide\"><table class=\"figures\">\n<tr><th>objects, by COCO's rule</th>"
      "<th>number</th><th>AP, per cent</th><th>recall of 100 detections, per cent</th></tr>\n";
  for (std::size_t k = 0; k < kNames.size(); ++k) {
    const auto number = std::ranges::count_if(part.set->objects, [&](const BoxedObject& object) {
      return counts(object) && area_counts(object.area, k + 1);
    });
    const auto bar = [&](double value) { return bar_cell(value, percent(value), part.number); };
    out += message("<tr><td>", kNames[k], "</td><td>", number, "</td>",
                   bar(figures[kPrecision + k]), bar(figures[kRecall + k]), "</tr>\n");
  }
  return out + "</table></div>\n";
}

/// What detections and objects of a class came to, at the best score.
struct ClassCounts {
  std::int64_t objects = 0, missed = 0, detections = 0, right = 0;
  std::array<std::int64_t, kMistakes.size()> mistakes = {};
};

std::vector<ClassCounts> class_counts(const DetectionPart& part) {
  std::vector<ClassCounts> all(part.set->classes.size());
  for (std::size_t i = 0; i < part.set->objects.size(); ++i) {
    const BoxedObject& object = part.set->objects[i];
    if (!counts(object)) continue;
    ClassCounts& of_class = all[static_cast<std::size_t>(object.label)];
    ++of_class.objects;
    of_class.missed += is_found(part, static_cast<std::int64_t>(i)) ? 0 : 1;
  }
  for (std::size_t i = 0; i < part.detections.rows.size(); ++i) {
    const Detection& row = part.detections.rows[i];
    ClassCounts& of_class = all[static_cast<std::size_t>(row.label)];
    ++of_class.detections;
    if (!part.is_shown(row)) continue;
    const VerdictKind kind = part.verdicts.detections[i].kind;
    of_class.right += kind == VerdictKind::kRight ? 1 : 0;
    const auto mistake = std::ranges::find(kMistakes, kind);
    if (mistake != kMistakes.end())
      ++of_class.mistakes[static_cast<std::size_t>(mistake - kMistakes.begin())];
  }
  return all;
}

std::string classes_table(const DetectionPart& part) {
  const RuleScores& scores = part.shown_rule().scores;
  std::string out =
      "<div class=\"wide\"><table class=\"figures\">\n<tr><th>class</th><th>objects</th>"
      "<th>detections</th><th>AP50</th><th>AP75</th><th>AP</th><th>found</th><th>missed</th>";
  for (const VerdictKind kind : kMistakes) out += message("<th>", mistake_word(kind), "</th>");
  out += "</tr>\n";
  const std::vector<ClassCounts> all = class_counts(part);
  for (std::size_t c = 0; c < all.size(); ++c) {
    const ClassCounts& of_class = all[c];
    const double ap50 = scores.ap[c][kAt50];
    out += message("<tr><td>", html_escaped(printable(part.set->classes[c])), "</td><td>",
                   of_class.objects, "</td><td>", of_class.detections, "</td>",
                   bar_cell(ap50, percent(ap50), part.number), "<td>", percent(scores.ap[c][kAt75]),
                   "</td><td>", percent(scores.mean_of(c)), "</td><td>", of_class.right,
                   "</td><td>", of_class.missed, "</td>");
    for (const std::int64_t count : of_class.mistakes) out += message("<td>", count, "</td>");
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

}  // namespace

std::string precision_section(DetectionParts parts) {
  std::string out = each_part(parts, [&](std::size_t i) { return tiles_of(parts[i]); });
  out += "<div class=\"charts\">\n" + overlaps_chart(parts) + mean_recall_chart(parts) + "</div>\n";
  out += each_part(parts, [&](std::size_t i) { return sizes_table(parts[i]); });
  out +=
      "<p class=\"quiet\">Found, missed and the kinds of mistakes count detections from the "
      "score of the highest F1 on, at an overlap of 0.50. F1 is the harmonic mean of precision "
      "and recall over all classes.</p>\n";
  return out + each_part(parts, [&](std::size_t i) { return classes_table(parts[i]); });
}

}  // namespace invp
