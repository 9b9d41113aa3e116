#include "tools/data/boxes.h"

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "data/detection/detection_set.h"
#include "data/images/decode.h"
#include "data/images/draw_boxes.h"
#include "data/images/transform.h"
#include "engine/core/error.h"
#include "engine/core/text.h"
#include "invp/report/text/table.h"

namespace invp::cli {

namespace {

std::vector<std::string> splits_of(const DataSource& source) {
  if (source.format != "voc" && source.format != "coco") return {};
  return box_splits(source.path, source.format);
}

DetectionSet open_all(const DataSource& source, const std::string& split, bool pictures) {
  return open_boxes(
      source.path,
      {.format = source.format, .split = split, .tolerate = true, .pictures = pictures});
}

struct Counts {
  std::int64_t difficult = 0, no_objects = 0, clipped = 0, dropped = 0;
  std::vector<std::int64_t> per_class;
};

Counts counts_of(const DetectionSet& set) {
  Counts counts;
  counts.per_class.resize(set.classes.size());
  for (const BoxedPicture& picture : set.pictures)
    counts.no_objects += picture.objects == 0 ? 1 : 0;
  for (const BoxedObject& object : set.objects) {
    ++counts.per_class[static_cast<std::size_t>(object.label)];
    counts.difficult += object.difficult ? 1 : 0;
    counts.clipped += object.fault == BoxFault::kReachesOut ? 1 : 0;
    counts.dropped += object.fault > BoxFault::kReachesOut ? 1 : 0;
  }
  return counts;
}

void print_classes(const std::vector<DetectionSet>& sets, const std::vector<Counts>& counts) {
  std::vector<std::string> headings = {"objects of class"};
  for (const DetectionSet& set : sets) headings.push_back(">" + set.split);
  Table table(headings);
  for (std::size_t c = 0; c < sets.front().classes.size(); ++c) {
    const std::string& name = sets.front().classes[c];
    std::vector<std::string> cells = {printable(name)};
    for (std::size_t s = 0; s < sets.size(); ++s) {
      // Files of one set may list other classes.
      const auto at = std::ranges::find(sets[s].classes, name) - sets[s].classes.begin();
      const bool there = at < std::ssize(sets[s].classes);
      cells.push_back(there ? std::to_string(counts[s].per_class[static_cast<std::size_t>(at)])
                            : "-");
    }
    table.row(std::move(cells));
  }
  std::cout << table.text();
}

/// One line for people, and an entry of the results.
void tell_bad(Results& list, const std::string& file, const std::string& reason) {
  std::cout << "  box: " << printable(reason) << '\n';
  list.push_back({{"file", file}, {"reason", reason}});
}

void check_split(const DetectionSet& set, Results& results) {
  for (const SetFault& fault : set.faults) tell_bad(results["bad_boxes"], fault.what, fault.reason);
  for (std::int64_t i = 0; i < std::ssize(set.pictures); ++i) {
    const BoxedPicture& picture = set.pictures[static_cast<std::size_t>(i)];
    for (const BoxedObject& object : set.objects_of(i)) {
      if (object.fault == BoxFault::kNone) continue;
      const ObjectBox& box = object.box;
      const std::string number = set.format == BoxFormat::kVoc ? message("object ", object.id + 1)
                                                               : message("annotation ", object.id);
      const std::string reason =
          message(set.picture_path(i).string(), ": ", number, " (",
                  set.classes[static_cast<std::size_t>(object.label)], ") ",
                  fault_text(object.fault), ": ", box.x, ", ", box.y, " to ", box.right(), ", ",
                  box.bottom(), " in ", picture.width, " x ", picture.height);
      const bool clipped = object.fault == BoxFault::kReachesOut;
      tell_bad(results[clipped ? "clipped_boxes" : "bad_boxes"], picture.name, reason);
    }
  }
}

/// Drawn after shrinking, so that labels keep their size.
Image picture_with_boxes(const DetectionSet& set, std::int64_t number, int side) {
  const Image whole = load_image(set.picture_path(number));
  const double scale =
      std::min(1.0, static_cast<double>(side) / std::max(whole.width, whole.height));
  const auto shrunk = [&](int of) { return std::max(1, static_cast<int>(of * scale)); };
  Image picture = resize(whole, shrunk(whole.width), shrunk(whole.height));
  std::vector<DrawnBox> boxes;
  for (const BoxedObject& object : set.objects_of(number)) {
    boxes.push_back({.x0 = object.box.x * scale,
                     .y0 = object.box.y * scale,
                     .x1 = object.box.right() * scale,
                     .y1 = object.box.bottom() * scale,
                     .text = set.classes[static_cast<std::size_t>(object.label)],
                     .kind = object.label,
                     .style = object.difficult ? BoxStyle::kDashed : BoxStyle::kSolid});
  }
  draw_boxes(picture, boxes);
  return picture;
}

}  // namespace

bool has_boxes(const DataSource& source) {
  return !splits_of(source).empty();
}

Results tell_boxes(const DataSource& source) {
  std::vector<DetectionSet> sets;
  std::vector<Counts> counts;
  Results results = Results::object();
  Table table({"boxes", ">pictures", ">without objects", ">objects", ">difficult or crowd",
               ">dropped in training", ">clipped", ">unusable"});
  for (const std::string& split : splits_of(source)) {
    const DetectionSet& set = sets.emplace_back(open_all(source, split, false));
    const Counts& count = counts.emplace_back(counts_of(set));
    table.row({set.split, std::to_string(set.pictures.size()), std::to_string(count.no_objects),
               std::to_string(set.objects.size()), std::to_string(count.difficult),
               std::to_string(count.dropped), std::to_string(count.clipped),
               std::to_string(set.faults.size())});
    Results& of_split = results[split];
    of_split = {{"pictures", set.pictures.size()}, {"objects", set.objects.size()},
                {"difficult", count.difficult},    {"without_objects", count.no_objects},
                {"dropped", count.dropped},        {"clipped", count.clipped},
                {"unusable", set.faults.size()}};
    for (std::size_t c = 0; c < set.classes.size(); ++c)
      of_split["per_class"][set.classes[c]] = count.per_class[c];
  }
  std::cout << '\n' << table.text() << '\n';
  print_classes(sets, counts);
  return results;
}

std::vector<Image> pictures_with_boxes(const DataSource& source, const std::string& split,
                                       std::int64_t rows, int side) {
  const DetectionSet set = open_all(source, split, true);
  const std::int64_t size = std::ssize(set.pictures);
  CHECK(size > 0, set.source.string(), ": ", split, " has no pictures");
  std::vector<Image> pictures;
  for (std::int64_t row = 0; row < std::min(rows, size); ++row)
    pictures.push_back(picture_with_boxes(set, row * size / std::min(rows, size), side));
  return pictures;
}

bool check_boxes(const DataSource& source, Results& results) {
  results["bad_boxes"] = Results::array();
  results["clipped_boxes"] = Results::array();
  std::int64_t no_objects = 0;
  for (const std::string& split : splits_of(source)) {
    const DetectionSet set = open_all(source, split, true);
    check_split(set, results);
    no_objects += counts_of(set).no_objects;
  }
  results["pictures_without_objects"] = no_objects;
  std::cout << "boxes: " << results["bad_boxes"].size() << " unusable, "
            << results["clipped_boxes"].size() << " to be clipped; "
            << counted(no_objects, "picture") << " without objects, which training leaves out\n";
  return !results["bad_boxes"].empty();
}

}  // namespace invp::cli
