// The most confident wrong detections of each kind, and the largest objects that were missed.
#include <algorithm>

#include "engine/core/error.h"
#include "invp/report/html/detection_parts.h"
#include "invp/report/html/html.h"

namespace invp {

namespace {

// Pixels of a crop on the page.
constexpr int kHeight = 170, kWidth = 300;

struct MistakeText {
  VerdictKind kind;
  const char* what;
};
constexpr std::array<MistakeText, 4> kTexts = {
    {{VerdictKind::kBackground, "overlaps no object by 0.10 or more"},
     {VerdictKind::kConfusion, "is on an object of another class"},
     {VerdictKind::kLocalization, "overlaps an object of its class, by less than 0.50"},
     {VerdictKind::kDuplicate, "is on an object that a detection of a higher score found"}}};

/// Around both boxes, with a margin, not too long in one direction, inside the picture.
ObjectBox region_around(ObjectBox box, const ObjectBox* other, const ObjectBox& picture) {
  if (other != nullptr && other->finite()) {
    const double right = std::max(box.right(), other->right());
    const double bottom = std::max(box.bottom(), other->bottom());
    box.x = std::min(box.x, other->x);
    box.y = std::min(box.y, other->y);
    box.width = right - box.x;
    box.height = bottom - box.y;
  }
  box = clipped(box, picture.width, picture.height);
  constexpr double kMargin = 0.3, kLeast = 56, kLongest = 1.7;
  double width = std::max(kLeast, box.width * (1 + kMargin));
  double height = std::max(kLeast, box.height * (1 + kMargin));
  width = std::max(width, height / kLongest);
  height = std::max(height, width / kLongest);
  const ObjectBox around{box.x + (box.width - width) / 2, box.y + (box.height - height) / 2, width,
                         height};
  return clipped(around, picture.width, picture.height);
}

std::string crop_item(const BoxedPictures::Drawn& drawn, const std::string& caption,
                      const std::string& where) {
  return message("<li style=\"width:", std::max(drawn.width, 150), "px\"><img alt=\"\" width=\"",
                 drawn.width, "\" height=\"", drawn.height, "\" src=\"", drawn.uri, "\"><span>",
                 html_escaped(printable(caption)), "</span><span class=\"quiet\">",
                 html_escaped(printable(where)), "</span></li>\n");
}

/// Rows of wrong detections of a kind, the most confident first, one of each picture and class
/// while there are enough.
std::vector<std::size_t> most_confident(const DetectionPart& part, VerdictKind kind,
                                        std::size_t wanted) {
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < part.detections.rows.size(); ++i) {
    if (part.verdicts.detections[i].kind == kind) rows.push_back(i);
  }
  std::ranges::stable_sort(rows, std::greater<>(),
                           [&](std::size_t i) { return part.detections.rows[i].score; });
  rows.resize(std::min(rows.size(), wanted));
  return rows;
}

std::string mistake_item(const DetectionPart& part, BoxedPictures& pictures, std::size_t row) {
  const Detection& detection = part.detections.rows[row];
  const Verdict& verdict = part.verdicts.detections[row];
  const auto& box = detection.box;
  const BoxedObject* const object =
      verdict.object < 0 ? nullptr : &part.set->objects[static_cast<std::size_t>(verdict.object)];
  std::vector<DrawnBox> boxes = {box_of(part, row)};
  std::string caption = detection_text(part, row);
  if (object != nullptr) {
    boxes.push_back(box_of(part, *object, {}));
    boxes.back().text = "object: " + boxes.back().text;
    caption += message(", overlap ", formatted("%.2f", verdict.overlap), " with ",
                       part.class_name(object->label));
  }
  const ObjectBox all = pictures.all_of(detection.picture);
  const ObjectBox region = region_around({box[0], box[1], box[2], box[3]},
                                         object != nullptr ? &object->box : nullptr, all);
  return crop_item(pictures.draw(detection.picture, region, kWidth, kHeight, std::move(boxes)),
                   caption, part.set->pictures[static_cast<std::size_t>(detection.picture)].name);
}

/// Counts of all kinds, from the best score on.
std::string kinds_table(const DetectionPart& part) {
  std::array<std::int64_t, kTexts.size()> number = {};
  std::int64_t all = 0;
  for (std::size_t i = 0; i < part.detections.rows.size(); ++i) {
    if (!part.is_shown(part.detections.rows[i])) continue;
    for (std::size_t k = 0; k < kTexts.size(); ++k) {
      if (part.verdicts.detections[i].kind != kTexts[k].kind) continue;
      ++number[k];
      ++all;
    }
  }
  std::string out =
      "<div class=\"wide\"><table class=\"figures\">\n<tr><th>kind</th><th>number</th>"
      "<th>share of the mistakes, per cent</th></tr>\n";
  for (std::size_t k = 0; k < kTexts.size(); ++k) {
    const double share = all > 0 ? static_cast<double>(number[k]) / static_cast<double>(all) : 0;
    out += message("<tr><td>", mistake_word(kTexts[k].kind), ": ", kTexts[k].what, "</td><td>",
                   number[k], "</td>", bar_cell(share, formatted("%.1f", 100 * share), part.number),
                   "</tr>\n");
  }
  return out + "</table></div>\n";
}

/// The part of the picture that the object covers.
double share_of(const DetectionPart& part, std::int64_t picture, const BoxedObject& object) {
  const BoxedPicture& of = part.set->pictures[static_cast<std::size_t>(picture)];
  const double all = static_cast<double>(of.width) * of.height;
  return all > 0 ? clipped(object.box, of.width, of.height).area() / all : 0;
}

struct Miss {
  std::int64_t picture = 0, object = 0;
  double share = 0;
};

std::vector<Miss> largest_misses(const DetectionPart& part, std::size_t wanted,
                                 std::int64_t& number) {
  std::vector<Miss> misses;
  for (std::int64_t p = 0; p < std::ssize(part.set->pictures); ++p) {
    const BoxedPicture& picture = part.set->pictures[static_cast<std::size_t>(p)];
    for (std::int64_t i = picture.first_object; i < picture.first_object + picture.objects; ++i) {
      const BoxedObject& object = part.set->objects[static_cast<std::size_t>(i)];
      if (counts(object) && !is_found(part, i)) misses.push_back({p, i, share_of(part, p, object)});
    }
  }
  number = std::ssize(misses);
  std::ranges::stable_sort(misses, std::greater<>(), &Miss::share);
  misses.resize(std::min(misses.size(), wanted));
  return misses;
}

std::string miss_item(const DetectionPart& part, BoxedPictures& pictures, const Miss& miss) {
  const BoxedObject& object = part.set->objects[static_cast<std::size_t>(miss.object)];
  const std::int64_t found = part.verdicts.found_by[static_cast<std::size_t>(miss.object)];
  std::string caption = message(part.class_name(object.label), ", ",
                                formatted("%.1f %% of the picture", 100 * miss.share));
  if (found >= 0) {
    caption += formatted(", found at %.2g only",
                         part.detections.rows[static_cast<std::size_t>(found)].score);
  }
  const ObjectBox region = region_around(object.box, nullptr, pictures.all_of(miss.picture));
  return crop_item(pictures.draw(miss.picture, region, kWidth, kHeight, {box_of(part, object, {})}),
                   caption, part.set->pictures[static_cast<std::size_t>(miss.picture)].name);
}

}  // namespace

std::string mistakes_section(DetectionParts parts, std::span<BoxedPictures> pictures,
                             const DetectionPageOptions& options) {
  const std::string all = each_part(parts, [&](std::size_t p) {
    std::string out;
    for (const auto& [kind, what] : kTexts) {
      std::string items;
      for (const std::size_t row :
           most_confident(parts[p], kind, static_cast<std::size_t>(options.crops)))
        items += mistake_item(parts[p], pictures[p], row);
      if (items.empty()) continue;
      out += message("<h3>", mistake_word(kind), ": ", what, "</h3>\n<ul class=\"crops\">\n", items,
                     "</ul>\n");
    }
    return out.empty() ? out : kinds_table(parts[p]) + out;
  });
  if (all.empty()) return all;
  return "<p class=\"quiet\">Detections that are wrong at an overlap of 0.50, by kind: their "
         "numbers from the score of the highest F1 on, and the most confident of all.</p>\n" +
         all;
}

std::string misses_section(DetectionParts parts, std::span<BoxedPictures> pictures,
                           const DetectionPageOptions& options) {
  const std::string all = each_part(parts, [&](std::size_t p) {
    std::int64_t number = 0;
    std::string items;
    for (const Miss& miss :
         largest_misses(parts[p], static_cast<std::size_t>(options.crops), number))
      items += miss_item(parts[p], pictures[p], miss);
    if (items.empty()) return items;
    return message("<p>", counted(number, "object"), number == 1 ? " is" : " are", " missed.</p>\n",
                   "<ul class=\"crops\">\n", items, "</ul>\n");
  });
  if (all.empty()) return all;
  return "<p class=\"quiet\">Objects that no detection found from the score of the highest F1 on: "
         "those that cover the most of their picture.</p>\n" +
         all;
}

}  // namespace invp
