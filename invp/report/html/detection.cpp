#include "invp/report/html/detection.h"

#include <algorithm>

#include "engine/core/error.h"
#include "invp/report/html/detection_parts.h"
#include "invp/report/html/html.h"
#include "invp/report/html/sections.h"

namespace invp {

const Rule& DetectionPart::shown_rule() const {
  return *std::ranges::find(rules, rule, &Rule::name);
}

DetectionPart detection_part(std::string name, std::shared_ptr<const DetectionSet> set,
                             const Detections& detections, VocScores voc, CocoScores coco,
                             const std::string& rule) {
  DetectionPart part;
  part.name = std::move(name);
  part.set = std::move(set);
  part.detections = as_sizes(detections);
  part.rule = rule.empty() ? usual_rule(*part.set) : rule;
  part.rules = rules_of(voc, coco);
  part.voc = std::move(voc);
  part.coco = std::move(coco);
  part.verdicts = find_verdicts(*part.set, part.detections,
                                part.rule == "coco" ? part.coco.judgments : part.voc.judgments);
  part.best = best_score(*part.set, part.detections, part.verdicts);
  return part;
}

std::vector<PageSection> detection_sections(std::span<const DetectionPart> parts,
                                            const DetectionPageOptions& options, Missing& missing) {
  if (parts.empty()) return {};
  std::vector<BoxedPictures> pictures;
  for (const DetectionPart& part : parts) pictures.emplace_back(*part.set);
  std::vector<PageSection> sections = {
      {"precision", "Average precision", precision_section(parts)},
      {"recall", "Precision against recall", recall_section(parts)},
      {"beside", "Detections beside the objects", beside_section(parts, pictures, options)},
      {"mistakes", "Mistakes", mistakes_section(parts, pictures, options)},
      {"misses", "Missed objects", misses_section(parts, pictures, options)}};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (const std::string unread = pictures[i].unread(); !unread.empty())
      missing.add(parts[i].name, unread);
  }
  return sections;
}

std::string detection_html(const DetectionPart& part, const std::vector<std::string>& remarks,
                           const DetectionPageOptions& options) {
  const DetectionSet& set = *part.set;
  Missing missing;
  const std::vector<PageSection> sections =
      detection_sections(std::span(&part, 1), options, missing);
  std::vector<std::string> lines = missing.lines();
  lines.insert(lines.end(), remarks.begin(), remarks.end());
  for (std::string& line : lines) line = printable(line);
  return page_of(
      {.title = printable(part.name),
       .subtitle = printable(message(set.source.string(), ", ", set.split, ": ",
                                     counted(std::ssize(set.pictures), "picture"), ", ",
                                     counted(std::ssize(set.objects), "object"), ", ",
                                     counted(std::ssize(part.detections.rows), "detection"))),
       .sections = sections,
       .missing = lines,
       .made_by = "invp detect eval"});
}

const char* mistake_word(VerdictKind kind) {
  switch (kind) {
    case VerdictKind::kRight: return "right";
    case VerdictKind::kIgnored: return "not counted";
    case VerdictKind::kDuplicate: return "duplicate";
    case VerdictKind::kConfusion: return "confused";
    case VerdictKind::kLocalization: return "misplaced";
    case VerdictKind::kBackground: return "background";
  }
  return "";
}

std::string detection_text(const DetectionPart& part, std::size_t row) {
  const Detection& detection = part.detections.rows[row];
  return part.class_name(detection.label) + formatted(" %.2f", detection.score);
}

DrawnBox box_of(const DetectionPart& part, std::size_t row) {
  const auto& [picture, label, score, box] = part.detections.rows[row];
  return {.x0 = box[0],
          .y0 = box[1],
          .x1 = box[0] + box[2],
          .y1 = box[1] + box[3],
          .text = detection_text(part, row),
          .kind = label};
}

DrawnBox box_of(const DetectionPart& part, const BoxedObject& object, std::string text) {
  const ObjectBox& box = object.box;
  const std::string& name = part.class_name(object.label);
  return {.x0 = box.x,
          .y0 = box.y,
          .x1 = box.right(),
          .y1 = box.bottom(),
          .text = text.empty() ? name : name + ", " + std::move(text),
          .kind = object.label,
          .style = object.difficult ? BoxStyle::kDashed : BoxStyle::kSolid};
}

bool is_found(const DetectionPart& part, std::int64_t object) {
  const std::int64_t row = part.verdicts.found_by[static_cast<std::size_t>(object)];
  return row >= 0 && part.is_shown(part.detections.rows[static_cast<std::size_t>(row)]);
}

std::string each_part(DetectionParts parts, const std::function<std::string(std::size_t)>& inside) {
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string of_part = inside(i);
    if (of_part.empty()) continue;
    if (parts.size() > 1)
      out += "<h3>" + color_tag(parts[i].number, printable(parts[i].name)) + "</h3>\n";
    out += of_part;
  }
  return out;
}

std::string bar_cell(double share, const std::string& text, std::size_t color) {
  return message("<td class=\"bar c", color % 8,
                 "\"><i><span style=\"width:", fixed(100 * std::clamp(share, 0.0, 1.0), 1),
                 "%\"></span></i>", html_escaped(text), "</td>");
}

}  // namespace invp
