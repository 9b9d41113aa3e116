#include "invp/protocols/detection/causes.h"

#include <algorithm>
#include <array>

#include "engine/core/error.h"
#include "engine/core/text.h"

namespace invp {
namespace {

/// "3 classes (bus, car, ...)"
std::string named_classes(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 3;
  const std::size_t count = std::min(names.size(), kShown);
  std::string shown = joined({names.begin(), names.begin() + static_cast<std::ptrdiff_t>(count)});
  const std::string number = names.size() == 1 ? "1 class" : message(names.size(), " classes");
  return number + " (" + shown + (names.size() > kShown ? ", ...)" : ")");
}

bool has(const BoxedObject& object) {
  return !object.difficult && object.fault != BoxFault::kNotFinite;
}

void add_classes(const DetectionSet& set, const Detections& detections,
                 std::vector<std::string>& lines) {
  std::vector<bool> asked(set.classes.size()), found(set.classes.size());
  for (const BoxedObject& object : set.objects) {
    if (has(object)) asked[static_cast<std::size_t>(object.label)] = true;
  }
  for (const Detection& row : detections.rows) found[static_cast<std::size_t>(row.label)] = true;
  std::vector<std::string> no_objects, no_detections;
  for (std::size_t c = 0; c < set.classes.size(); ++c) {
    if (!asked[c]) no_objects.push_back(set.classes[c]);
    if (asked[c] && !found[c]) no_detections.push_back(set.classes[c]);
  }
  if (!no_objects.empty()) {
    lines.push_back(
        named_classes(no_objects) +
        " without objects to be found: AP is undefined (-1), and the means leave them out");
  }
  if (!no_detections.empty() && !detections.rows.empty())
    lines.push_back(named_classes(no_detections) + " with objects, but without detections: AP 0");
}

void add_boxes(const DetectionSet& set, std::vector<std::string>& lines) {
  std::int64_t not_finite = 0, empty = 0, no_area = 0, zero_ids = 0;
  for (const BoxedObject& object : set.objects) {
    not_finite += object.fault == BoxFault::kNotFinite ? 1 : 0;
    empty += object.fault == BoxFault::kEmpty || object.fault == BoxFault::kOutside ? 1 : 0;
    no_area += object.no_area ? 1 : 0;
    zero_ids += set.format == BoxFormat::kCoco && object.id == 0 ? 1 : 0;
  }
  if (not_finite > 0)
    lines.push_back(counted(not_finite, "object") + " left out, whose box is not a number");
  if (empty > 0) {
    lines.push_back(
        counted(empty, "object") +
        " with a box that is empty or outside the picture: nobody finds it, and it counts "
        "as missed; invp data check lists it");
  }
  if (no_area > 0) {
    lines.push_back(counted(no_area, "object") +
                    " without \"area\": width times height stands for it in AP by size");
  }
  if (zero_ids > 0)
    lines.emplace_back(
        "an annotation with id 0: pycocotools counts it as missed even if it is found");
}

void add_sizes(const DetectionSet& set, std::vector<std::string>& lines) {
  constexpr std::array kNames = {"small", "medium", "large"};
  std::array<std::int64_t, 3> counts = {};
  for (const BoxedObject& object : set.objects) {
    if (!has(object)) continue;
    counts[0] += object.area <= 1024 ? 1 : 0;
    counts[1] += object.area >= 1024 && object.area <= 9216 ? 1 : 0;
    counts[2] += object.area >= 9216 ? 1 : 0;
  }
  for (std::size_t k = 0; k < kNames.size(); ++k) {
    if (counts[k] == 0)
      lines.push_back(message("no ", kNames[k], " objects: COCO's figures of that size are -1"));
  }
}

/// Does the detection overlap an object of any class by half?
bool finds_any(const DetectionSet& set, const Detection& row) {
  for (const BoxedObject& object : set.objects_of(row.picture)) {
    const ObjectBox& box = object.box;
    const double width =
        std::min(row.box[0] + row.box[2], box.right()) - std::max(row.box[0], box.x);
    const double height =
        std::min(row.box[1] + row.box[3], box.bottom()) - std::max(row.box[1], box.y);
    const double both = std::max(width, 0.0) * std::max(height, 0.0);
    if (both > 0.5 * (row.box[2] * row.box[3] + box.area() - both)) return true;
  }
  return false;
}

void add_no_hit(const DetectionSet& set, const Detections& detections,
                std::vector<std::string>& lines) {
  const Detections sizes = as_sizes(detections);
  std::int64_t hits = 0, tiny = 0;
  for (const Detection& row : sizes.rows) {
    hits += finds_any(set, row) ? 1 : 0;
    tiny += row.box[0] <= 1 && row.box[1] <= 1 && row.box[2] <= 1 && row.box[3] <= 1 ? 1 : 0;
  }
  if (hits > 0) {
    lines.push_back(message(hits, " of ", counted(std::ssize(sizes.rows), "detection"),
                            " overlap an object of another class by half: are the classes numbered "
                            "as in the set?"));
  } else if (tiny == std::ssize(sizes.rows)) {
    lines.emplace_back(
        "AP50 is 0: all boxes lie in [0, 1]; pixels of the original picture are expected");
  } else {
    lines.push_back(message(
        "AP50 is 0: no detection overlaps an object by half; expected are pixels of "
        "the original picture, ",
        detections.form == BoxForm::kVocText ? "xmin ymin xmax ymax" : "[x, y, width, height]"));
  }
}

}  // namespace

void check_objects(const DetectionSet& set) {
  CHECK(std::ranges::any_of(set.objects, has), set.source.string(), ": no objects in ", set.split,
        set.objects.empty() ? "" : " that are neither difficult nor crowds",
        ": there is nothing to find, and AP is undefined (-1); is it the split that was meant?");
}

std::vector<std::string> causes(const DetectionSet& set, const Detections& detections,
                                double ap50) {
  std::vector<std::string> lines;
  if (detections.rows.empty())
    lines.push_back("no detections in " + detections.source + ": AP is 0");
  add_classes(set, detections, lines);
  add_boxes(set, lines);
  add_sizes(set, lines);
  if (ap50 == 0 && !detections.rows.empty()) add_no_hit(set, detections, lines);
  return lines;
}

}  // namespace invp
