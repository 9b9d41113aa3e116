// The rule by which a set is usually judged, and its three figures.
#pragma once

#include <string>

#include "data/detection/detections.h"

namespace invp {

/// "voc07" for VOC2007, "voc12" for later years, "coco".
std::string usual_metric(const DetectionSet& set);

/// Per cent; kUndefined where no class has objects.
struct AveragePrecision {
  double ap = 0;
  double ap50 = 0;
  double ap75 = 0;
};
AveragePrecision usual_precision(const DetectionSet& set, const Detections& detections);

}  // namespace invp
