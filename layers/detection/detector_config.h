// What a Faster R-CNN R50-C4 is made of. The defaults are those of Detectron2's
// pascal_voc_R_50_C4 configuration as MoCo and InvP changed it (supplement, B.5).
#pragma once

#include <cstdint>
#include <vector>

#include "engine/ops/detection/boxes.h"
#include "layers/detection/anchors.h"

namespace invp {

struct RpnConfig {
  AnchorShapes anchors = {};
  int samples = 256;                  ///< anchors trained on, of a picture
  double most_positives = 0.5;        ///< share of them
  std::int64_t train_before = 12000;  ///< proposals before suppression, of a picture
  std::int64_t train_after = 2000;
  std::int64_t test_before = 6000;
  std::int64_t test_after = 1000;
  double overlap = 0.7;  ///< proposals that overlap a better one by more are dropped
};

struct RegionConfig {
  int samples = 512;             ///< regions trained on, of a picture
  double most_positives = 0.25;  ///< share of them
  float foreground = 0.5F;       ///< least IoU with an object
  BoxWeights weights = {10, 10, 5, 5};
  int bins = 14;                       ///< of RoIAlign, along each axis; res5 halves them
  double least_score = 0.05;           ///< a detection has more
  double overlap = 0.5;                ///< of one class
  std::int64_t most_detections = 100;  ///< of a picture
  /// In training, the middle block of res5 is computed again in the backward pass instead of kept.
  /// The same bits; decides memory and time.
  bool recompute = true;
  /// In evaluation: so many regions go through res5 at a time. Decides memory, and rounding.
  std::int64_t at_once = 256;
};

struct DetectorConfig {
  int width = 64;  ///< channels after the stem of the ResNet-50
  int classes = 20;
  std::int64_t stem = 0;   ///< another number of channels after the stem; 0: width
  std::uint64_t seed = 0;  ///< of weights and of samples
  RpnConfig rpn = {};
  RegionConfig regions = {};

  static constexpr int kStride = 16;  ///< pixels per cell of res4
};

}  // namespace invp
