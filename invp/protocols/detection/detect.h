// Fine-tuning a pretrained network as a detector: Faster R-CNN R50-C4 on PASCAL VOC or COCO
// (supplement, B.5), all layers and batch norms trained.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/detection/detection_set.h"
#include "data/load/detection_batches.h"
#include "invp/run/run.h"
#include "layers/detection/faster_rcnn.h"
#include "layers/detection/precise_norm.h"
#include "optim/schedule.h"

namespace invp {

struct DetectConfig {
  // InvP's settings (its repository's pascal_voc_R_50_C4 configuration): 4 GPUs of one picture.
  std::int64_t iterations = 96'000;
  double learning_rate = 0.005;
  std::int64_t warmup = 400;     ///< iterations
  double warmup_factor = 0.001;  ///< the first iteration's share of the rate
  std::vector<std::int64_t> drops = {72'000,
                                     88'000};  ///< iterations from which the rate is a tenth
  double lr_decay = 0.1;
  double momentum = 0.9;
  double weight_decay = 1e-4;  ///< of all weights and biases but those of norms
  NormSharing norms = NormSharing::kNaive;
  int precise_batches = 200;  ///< for the running statistics of the end; 0: they stay as they are
  PreciseNormRule precise_rule = PreciseNormRule::kAverage;
  DetectionLoaderOptions loader = {};  ///< its part and its share of bad pictures come from `run`
  double max_bad_share = 0.01;         ///< of the pictures, before the run stops

  int test_short_edge = kTestShortEdge;
  int report_every = 1000;          ///< iterations between reports and checkpoints
  std::int64_t evaluate_every = 0;  ///< iterations; 0: at the end alone
  Device device;
  DType compute_type = DType::kF32;

  RunConfig run;  ///< where it goes and how it is saved; the rest is filled in by run_detect()
};

/// The paper's schedule for another number of pictures per step (Goyal et al. 2017): the rate grows
/// with it, iterations, drops and warm-up shrink. Values already set by hand are not touched.
struct ScheduleScaling {
  bool rate = true, iterations = true, drops = true, warmup = true;  ///< what to scale
};
void scale_schedule(DetectConfig& config, std::int64_t from_pictures, const ScheduleScaling& which);

/// The rate of an iteration, as a function of Progress::step.
Schedule detect_rate(const DetectConfig& config);

/// Trains, and evaluates on `test` where there is one. `detector` is on its device. The run folder
/// gets the detections of the last evaluation as detections/. The faults are those of run_task.
RunResult run_detect(FasterRcnn& detector, const DetectConfig& config, const DetectionSet& train,
                     const DetectionSet* test, RunObserver& observer);

}  // namespace invp
