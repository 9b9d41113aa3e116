// Average precision of one class, in the three forms that people report for PASCAL VOC. Pictures
// are ranked by score; pictures of equal score form one threshold together. P and R are precision
// and recall of what lies at or above a threshold.
#pragma once

#include <cstdint>
#include <span>

#include "data/sets/dataset.h"

namespace invp {

struct AveragePrecision {
  /// sum over thresholds of (R_n - R_{n-1}) P_n, without interpolation (scikit-learn from 0.19 on).
  /// As in the released code 1e-5 is first taken off every positive's score, so that ties, exact
  /// ones above all, count against it.
  double step = 0;
  /// Area under the precision made non-increasing from the right (devkit from VOC2010 on).
  double envelope = 0;
  /// Mean over t = 0, 0.1, .. 1 of the highest precision at a recall of t or more (VOC2007 devkit).
  double eleven_point = 0;
};

/// In [0, 1]; all 0 where no picture is positive. Unclear pictures are left out. Scores that are
/// NaN rank last. Throws Error when the lengths differ.
AveragePrecision average_precision(std::span<const float> scores,
                                   std::span<const Presence> presences);

}  // namespace invp
