// Average precision of one class, in the three forms that are in use for PASCAL VOC. Every score
// that occurs is a threshold. P and R are precision and recall of the pictures at or above it.
#pragma once

#include <cstdint>
#include <span>

#include "data/sets/dataset.h"

namespace invp {

struct AveragePrecision {
  /// Sum over thresholds of (R_n - R_{n-1}) P_n, without interpolation (scikit-learn from 0.19 on).
  /// As in the released code, 1e-5 is first subtracted from the score of every positive, so that a
  /// positive loses a tie.
  double step = 0;
  /// Area under the curve of max over R' >= R of P(R') (devkit from VOC2010 on).
  double envelope = 0;
  /// Mean over t = 0, 0.1, ..., 1 of the highest precision at a recall of at least t (VOC2007
  /// devkit).
  double eleven_point = 0;
};

/// Values in [0, 1], all 0 if no picture is positive. Unclear pictures do not count. NaN scores
/// rank last. Throws Error if the lengths differ.
AveragePrecision average_precision(std::span<const float> scores,
                                   std::span<const Presence> presences);

}  // namespace invp
