// Which pictures and objects of a set a detector learns from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/detection/detection_set.h"

namespace invp {

/// An object with a usable box. A crowd of COCO is none; a difficult object of VOC is one like any
/// other, as in detectron2.
bool is_truth(const DetectionSet& set, const BoxedObject& object);

struct TrainingPictures {
  std::vector<std::int64_t> rows;  ///< of DetectionSet::pictures, ascending
  bool keep_empty = false;         ///< pictures without truth are among them
  // Pictures without truth:
  std::int64_t without_objects = 0;
  std::int64_t only_crowds = 0;
  std::int64_t only_bad_boxes = 0;  ///< or bad boxes and crowds
  // Objects that are left out, of all pictures:
  std::int64_t crowds = 0;
  std::int64_t bad_boxes = 0;  ///< empty, outside of the picture, or no numbers

  std::int64_t without_truth() const { return without_objects + only_crowds + only_bad_boxes; }
};

TrainingPictures training_pictures(const DetectionSet& set, bool keep_empty);

/// What is left out and why: "2 of 9 pictures are left out: 1 without objects, 1 with crowds only".
/// Empty if nothing is.
std::vector<std::string> left_out_lines(const DetectionSet& set, const TrainingPictures& pictures);

}  // namespace invp
