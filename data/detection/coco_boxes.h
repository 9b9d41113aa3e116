// The boxes of COCO's instances_*.json, and of files in the same form.
#pragma once

#include <filesystem>

#include "data/detection/detection_set.h"
#include "data/sets/coco.h"

namespace invp {

/// Reads it once; takes the memory of the set. Pictures and classes come in ascending id, the
/// objects of a picture in the file's order: the order of the official evaluator.
DetectionSet open_coco_boxes(const CocoPart& part, const OpenBoxes& open);

}  // namespace invp
