#include "tools/data/boxes.h"

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "data/detection/detection_set.h"
#include "data/detection/training_truth.h"
#include "data/images/decode.h"
#include "data/images/draw_boxes.h"
#include "data/images/transform.h"
#include "data/load/view_maker.h"
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
  std::int64_t difficult = 0, clipped = 0;
  TrainingPictures training;
  std::vector<std::int64_t> per_class;
};

Counts counts_of(const DetectionSet& set) {
  Counts counts;
  counts.per_class.resize(set.classes.size());
  counts.training = training_pictures(set, false);
  for (const BoxedObject& object : set.objects) {
    ++counts.per_class[static_cast<std::size_t>(object.label)];
    counts.difficult += object.difficult ? 1 : 0;
    counts.clipped += object.fault == BoxFault::kReachesOut ? 1 : 0;
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
void tell_bad(Results& list, const std::string& file, const std::string& reason,
              const char* what = "box") {
  std::cout << "  " << what << ": " << printable(reason) << '\n';
  list.push_back({{"file", file}, {"reason", reason}});
}

/// Why training leaves a picture out; empty if it does not.
std::string_view why_left_out(const DetectionSet& set, std::int64_t row) {
  const auto objects = set.objects_of(row);
  if (objects.empty()) return "has no objects";
  const auto trained_on = [&](const BoxedObject& object) { return is_truth(set, object); };
  return std::ranges::any_of(objects, trained_on) ? "" : "has no objects to train on";
}

void check_split(const DetectionSet& set, Results& results) {
  for (const SetFault& fault : set.faults) tell_bad(results["bad_boxes"], fault.what, fault.reason);
  for (std::int64_t i = 0; i < std::ssize(set.pictures); ++i) {
    const BoxedPicture& picture = set.pictures[static_cast<std::size_t>(i)];
    if (const std::string_view why = why_left_out(set, i); !why.empty()) {
      tell_bad(results["left_out_pictures"], picture.name,
               message(set.picture_path(i).string(), ' ', why), "picture");
    }
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
  const Image whole = read_picture(set, number, {});
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
  Table table({"boxes", ">pictures", ">left out in training", ">objects", ">difficult or crowd",
               ">dropped in training", ">clipped", ">unusable"});
  for (const std::string& split : splits_of(source)) {
    const DetectionSet& set = sets.emplace_back(open_all(source, split, false));
    const Counts& count = counts.emplace_back(counts_of(set));
    const TrainingPictures& training = count.training;
    const std::int64_t dropped = training.crowds + training.bad_boxes;
    table.row({set.split, std::to_string(set.pictures.size()),
               std::to_string(training.without_truth()), std::to_string(set.objects.size()),
               std::to_string(count.difficult), std::to_string(dropped),
               std::to_string(count.clipped), std::to_string(set.faults.size())});
    Results& of_split = results[split];
    of_split = {{"pictures", set.pictures.size()},
                {"objects", set.objects.size()},
                {"difficult", count.difficult},
                {"without_objects", training.without_objects},
                {"dropped", dropped},
                {"clipped", count.clipped},
                {"unusable", set.faults.size()},
                {"trained_on", training.rows.size()},
                {"only_crowds", training.only_crowds},
                {"only_bad_boxes", training.only_bad_boxes}};
    for (std::size_t c = 0; c < set.classes.size(); ++c)
      of_split["per_class"][set.classes[c]] = count.per_class[c];
  }
  std::cout << '\n' << table.text();
  for (std::size_t s = 0; s < sets.size(); ++s) {
    for (const std::string& line : left_out_lines(sets[s], counts[s].training))
      std::cout << sets[s].split << ", in training: " << line << '\n';
  }
  std::cout << '\n';
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
  results["left_out_pictures"] = Results::array();
  std::int64_t no_objects = 0;
  for (const std::string& split : splits_of(source)) {
    const DetectionSet set = open_all(source, split, true);
    check_split(set, results);
    no_objects += training_pictures(set, false).without_objects;
  }
  results["pictures_without_objects"] = no_objects;
  std::cout << "boxes: " << results["bad_boxes"].size() << " unusable, "
            << results["clipped_boxes"].size() << " to be clipped; "
            << counted(std::ssize(results["left_out_pictures"]), "picture")
            << " that training leaves out, " << no_objects << " of them without objects\n";
  return !results["bad_boxes"].empty();
}

}  // namespace invp::cli
