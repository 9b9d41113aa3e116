// The three figures that detections are known by, by the rule that is usual for their set.
#pragma once

#include "data/detection/detections.h"

namespace invp {

/// Per cent; kUndefined where no class has objects.
struct AveragePrecision {
  double ap = 0;
  double ap50 = 0;
  double ap75 = 0;
};
AveragePrecision usual_precision(const DetectionSet& set, const Detections& detections);

}  // namespace invp
