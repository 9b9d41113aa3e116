// Why an average precision is 0 or undefined, and what was counted otherwise than it seems.
#pragma once

#include <string>
#include <vector>

#include "data/detection/detections.h"

namespace invp {

/// Throws Error if no object of the set can be found by anybody, which leaves every figure
/// undefined.
void check_objects(const DetectionSet& set);

/// One line for each: no detections, classes without objects or without detections, areas that the
/// file lacks or that no object has, boxes that were left out, ids of 0; and where no detection is
/// right (`ap50` is 0), what the boxes and classes look like.
std::vector<std::string> causes(const DetectionSet& set, const Detections& detections, double ap50);

}  // namespace invp
