// Pictures with the objects on the left, and with the detections on the right.
#include <algorithm>

#include "engine/core/error.h"
#include "invp/report/html/detection_parts.h"
#include "invp/report/html/html.h"

namespace invp {

namespace {

// Pixels. The page shows two beside each other.
constexpr int kWidth = 540, kHeight = 420;
/// Of a picture, the most confident; 300 boxes show nothing.
constexpr std::size_t kMostBoxes = 25;
/// Where no detection of the set is right.
constexpr std::size_t kFewBoxes = 5;

/// Rows of the part's detections.
using Rows = std::vector<std::size_t>;

/// By picture those that are shown, the most confident first.
std::vector<Rows> shown_rows(const DetectionPart& part) {
  std::vector<Rows> of_picture(part.set->pictures.size());
  for (std::size_t i = 0; i < part.detections.rows.size(); ++i) {
    const Detection& row = part.detections.rows[i];
    if (part.is_shown(row)) of_picture[static_cast<std::size_t>(row.picture)].push_back(i);
  }
  for (Rows& rows : of_picture) {
    std::ranges::stable_sort(rows, std::greater<>(),
                             [&](std::size_t i) { return part.detections.rows[i].score; });
    rows.resize(std::min(rows.size(), part.best.f1 > 0 ? kMostBoxes : kFewBoxes));
  }
  return of_picture;
}

/// Spread evenly over the pictures that have objects.
std::vector<std::int64_t> chosen(const DetectionSet& set, int wanted) {
  std::vector<std::int64_t> with_objects;
  for (std::int64_t i = 0; i < std::ssize(set.pictures); ++i) {
    if (std::ranges::any_of(set.objects_of(i), counts)) with_objects.push_back(i);
  }
  std::vector<std::int64_t> chosen;
  const std::int64_t number = std::min<std::int64_t>(wanted, std::ssize(with_objects));
  for (std::int64_t k = 0; k < number; ++k)
    chosen.push_back(with_objects[static_cast<std::size_t>(k * std::ssize(with_objects) / number)]);
  return chosen;
}

std::string figure(const BoxedPictures::Drawn& drawn, const std::string& caption) {
  return message("<figure><img alt=\"\" width=\"", drawn.width, "\" height=\"", drawn.height,
                 "\" src=\"", drawn.uri, "\"><figcaption>", caption, "</figcaption></figure>\n");
}

std::string objects_figure(const DetectionPart& part, BoxedPictures& pictures,
                           std::int64_t picture) {
  const BoxedPicture& of = part.set->pictures[static_cast<std::size_t>(picture)];
  std::vector<DrawnBox> boxes;
  std::int64_t counted_ones = 0, difficult = 0;
  for (std::int64_t i = of.first_object; i < of.first_object + of.objects; ++i) {
    const BoxedObject& object = part.set->objects[static_cast<std::size_t>(i)];
    const bool missed = counts(object) && !is_found(part, i);
    counted_ones += counts(object) ? 1 : 0;
    difficult += object.difficult ? 1 : 0;
    boxes.push_back(box_of(part, object, missed ? "missed" : ""));
  }
  std::string caption = html_escaped(printable(of.name)) + ": " + counted(counted_ones, "object");
  if (difficult > 0)
    caption +=
        message(", and ", difficult, part.set->format == BoxFormat::kVoc ? " difficult" : " crowd");
  return figure(pictures.draw(picture, pictures.all_of(picture), kWidth, kHeight, std::move(boxes)),
                caption);
}

std::string detections_figure(const DetectionPart& part, BoxedPictures& pictures,
                              std::int64_t picture, const Rows& rows) {
  std::vector<DrawnBox> boxes;
  std::int64_t right = 0, ignored = 0;
  for (const std::size_t row : rows) {
    const VerdictKind kind = part.verdicts.detections[row].kind;
    right += kind == VerdictKind::kRight ? 1 : 0;
    ignored += kind == VerdictKind::kIgnored ? 1 : 0;
    DrawnBox& box = boxes.emplace_back(box_of(part, row));
    if (kind == VerdictKind::kIgnored) box.style = BoxStyle::kDashed;
    if (kind != VerdictKind::kRight) box.text += std::string(", ") + mistake_word(kind);
  }
  std::string caption = message(counted(std::ssize(rows), "detection"), ": ", right, " right, ",
                                std::ssize(rows) - right - ignored, " wrong");
  if (ignored > 0) caption += message(", ", ignored, " not counted");
  return figure(pictures.draw(picture, pictures.all_of(picture), kWidth, kHeight, std::move(boxes)),
                caption);
}

std::string score_text(DetectionParts parts) {
  if (parts.size() > 1) return "from the score of its highest F1 on";
  return parts[0].best.f1 > 0
             ? formatted("from a score of %.3g on, that of the highest F1", parts[0].best.score)
             : "the five of the highest scores, since none in the set is right";
}

}  // namespace

std::string beside_section(DetectionParts parts, std::span<BoxedPictures> pictures,
                           const DetectionPageOptions& options) {
  const std::string all = each_part(parts, [&](std::size_t p) {
    const std::vector<Rows> shown = shown_rows(parts[p]);
    std::string out;
    for (const std::int64_t picture : chosen(*parts[p].set, options.pictures)) {
      out += "<article class=\"pair\">\n" + objects_figure(parts[p], pictures[p], picture) +
             detections_figure(parts[p], pictures[p], picture,
                               shown[static_cast<std::size_t>(picture)]) +
             "</article>\n";
    }
    return out;
  });
  if (all.empty()) return all;
  return "<p class=\"quiet\">Left the objects, right the detections, " + score_text(parts) +
         ". The pictures are spread evenly over those with objects and not chosen by hand. Dashed "
         "boxes do not count: objects that are difficult or crowds, and detections of them.</p>\n" +
         all;
}

}  // namespace invp
