#include "invp/protocols/detection/detect.h"

#include <algorithm>
#include <cmath>

#include "invp/protocols/detection/detect_task.h"
#include "invp/protocols/detection/detection_source.h"
#include "invp/run/measures.h"

namespace invp {

namespace {

std::int64_t scaled(std::int64_t iterations, double factor) {
  return std::max<std::int64_t>(1, std::llround(static_cast<double>(iterations) * factor));
}

}  // namespace

void scale_schedule(DetectConfig& config, std::int64_t from_pictures,
                    const ScheduleScaling& which) {
  const std::int64_t pictures = config.loader.groups * config.loader.pictures_per_group;
  const double shorter = static_cast<double>(from_pictures) / static_cast<double>(pictures);
  if (which.rate) config.learning_rate /= shorter;
  if (which.iterations) config.iterations = scaled(config.iterations, shorter);
  if (which.warmup) config.warmup = scaled(config.warmup, shorter);
  if (!which.drops) return;
  for (std::int64_t& drop : config.drops) drop = scaled(drop, shorter);
}

Schedule detect_rate(const DetectConfig& config) {
  const WarmupBySteps factor{
      .warmup = config.warmup,
      .start = config.warmup_factor,
      .base = DropsAtSteps{.milestones = config.drops, .decay = config.lr_decay}};
  return [rate = config.learning_rate, factor](const Progress& progress) {
    return rate * factor(progress);
  };
}

RunResult run_detect(FasterRcnn& detector, const DetectConfig& given, const DetectionSet& train,
                     const DetectionSet* test, RunObserver& observer) {
  DetectConfig config = given;
  const RunRanks& ranks = config.run.ranks;
  const BatchPart part =
      share_of_rank(static_cast<int>(config.loader.groups), ranks.communicator->ranks());
  CHECK(part.pieces == 1, "[detect] ", part.groups, " groups are less than one for each of ",
        part.groups * part.pieces, " ranks");
  config.loader.first_group = part.first;
  config.loader.made_groups = part.count;
  config.loader.max_bad_share = ranks.alone() ? config.max_bad_share : 1;  // the run counts
  const std::int64_t block = std::min<std::int64_t>(config.report_every, config.iterations);
  const auto blocks_of = [block](std::int64_t iterations) {
    return static_cast<int>((iterations + block - 1) / block);
  };
  RunConfig run = config.run;
  run.command = "invp detect train";
  run.epochs = blocks_of(config.iterations);
  run.steps = config.iterations;
  run.steps_in_reports = true;
  run.evaluate_every = test == nullptr             ? 0
                       : config.evaluate_every > 0 ? blocks_of(config.evaluate_every)
                                                   : run.epochs;
  run.shown = known_measures({"loss_rpn_cls", "loss_rpn_loc", "loss_cls", "loss_box_reg", "ap50",
                              "ap", "ap75", "recall", "foreground"});
  run.best_by = "ap";
  run.max_bad_share = config.max_bad_share;
  run.identity.entries.push_back(training_boxes(train));
  run.identity.facts = detector_facts(train, config);
  DetectionSource batches(train, config.loader, block, config.device);
  DetectTask task(config, detector, train, test);
  return run_task(run, batches, task, observer);
}

}  // namespace invp
