#include "data/detection/training_truth.h"

#include <algorithm>

#include "engine/core/error.h"
#include "engine/core/text.h"

namespace invp {
namespace {

bool is_crowd(const DetectionSet& set, const BoxedObject& object) {
  return set.format == BoxFormat::kCoco && object.difficult;
}

bool has_bad_box(const BoxedObject& object) {
  return object.fault > BoxFault::kReachesOut;
}

/// "1 without objects, 3 with crowds only", without the causes that no picture has.
std::string causes(const TrainingPictures& pictures) {
  std::vector<std::string> parts;
  const auto add = [&](std::int64_t count, const char* what) {
    if (count > 0) parts.push_back(message(count, ' ', what));
  };
  add(pictures.without_objects, "without objects");
  add(pictures.only_crowds, "with crowds only");
  add(pictures.only_bad_boxes, "with unusable boxes only");
  return joined(parts);
}

}  // namespace

bool is_truth(const DetectionSet& set, const BoxedObject& object) {
  return !is_crowd(set, object) && !has_bad_box(object);
}

TrainingPictures training_pictures(const DetectionSet& set, bool keep_empty) {
  TrainingPictures pictures;
  pictures.keep_empty = keep_empty;
  for (std::int64_t row = 0; row < std::ssize(set.pictures); ++row) {
    std::int64_t truth = 0, crowds = 0, bad_boxes = 0;
    for (const BoxedObject& object : set.objects_of(row))
      ++(is_truth(set, object) ? truth : is_crowd(set, object) ? crowds : bad_boxes);
    pictures.crowds += crowds;
    pictures.bad_boxes += bad_boxes;
    if (truth > 0 || keep_empty) pictures.rows.push_back(row);
    if (truth > 0) continue;
    ++(bad_boxes > 0 ? pictures.only_bad_boxes
       : crowds > 0  ? pictures.only_crowds
                     : pictures.without_objects);
  }
  return pictures;
}

std::vector<std::string> left_out_lines(const DetectionSet& set, const TrainingPictures& pictures) {
  std::vector<std::string> lines;
  if (const std::int64_t without = pictures.without_truth(); without > 0) {
    lines.push_back(message(
        without, " of ", counted(std::ssize(set.pictures), "picture"),
        pictures.keep_empty ? " kept without an object: " : " left out: ", causes(pictures)));
  }
  if (pictures.crowds > 0) lines.push_back(counted(pictures.crowds, "crowd") + " left out");
  if (pictures.bad_boxes > 0) {
    lines.push_back(counted(pictures.bad_boxes, "object") +
                    " left out, with a box that is empty, outside of its picture, or not a number; "
                    "invp data check lists them");
  }
  return lines;
}

}  // namespace invp
