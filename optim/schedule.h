// Learning-rate schedules: factors on the base rate, functions of where the run stands. Those by
// epoch are constant within one; epochs count from 1, as in the released code.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <numbers>
#include <utility>
#include <vector>

#include "optim/progress.h"

namespace invp {

using Schedule = std::function<double(const Progress& progress)>;

/// The base rate throughout.
struct ConstantSchedule {
  double operator()(const Progress&) const { return 1; }
};

/// (1 + cos(pi * epoch / epochs)) / 2, with the released code's numbering from 1: the first epoch
/// lies just under the base rate. The last has rate zero and only lets the bank and the running
/// statistics settle.
struct CosineSchedule {
  int epochs = 1;
  double operator()(const Progress& progress) const {
    return 0.5 * (1 + std::cos(std::numbers::pi * progress.epoch / epochs));
  }
};

/// The same by steps from 0: the first step has the base rate, and the rate nears zero at the last.
struct CosineByStepSchedule {
  int epochs = 1;
  double operator()(const Progress& progress) const {
    const auto steps = static_cast<double>(epochs * progress.steps_per_epoch);
    return 0.5 * (1 + std::cos(std::numbers::pi * static_cast<double>(progress.step) / steps));
  }
};

/// `decay` to the power of how many milestones are reached: epochs, numbered from 0 for the
/// comparison (protocols: "decay at 60, 80").
struct StepSchedule {
  std::vector<int> milestones;
  double decay = 0.1;
  double operator()(const Progress& progress) const {
    double factor = 1;
    for (const int milestone : milestones) {
      if (milestone <= progress.epoch - 1) factor *= decay;
    }
    return factor;
  }
};

/// The same at steps, counted from 0 (Detectron2's SOLVER.STEPS).
struct DropsAtSteps {
  std::vector<std::int64_t> milestones;
  double decay = 0.1;
  double operator()(const Progress& progress) const {
    double factor = 1;
    for (const std::int64_t milestone : milestones) {
      if (milestone <= progress.step) factor *= decay;
    }
    return factor;
  }
};

/// The base schedule times epoch / warmup in the first `warmup` epochs.
struct WarmupSchedule {
  int warmup = 0;
  Schedule base;
  double operator()(const Progress& progress) const {
    const bool warm = progress.epoch >= warmup;
    return base(progress) * (warm ? 1 : static_cast<double>(progress.epoch) / warmup);
  }
};

/// The base schedule times a factor that rises in a straight line from `start` at step 0 to 1 at
/// step `warmup` (Detectron2's WarmupMultiStepLR).
struct WarmupBySteps {
  std::int64_t warmup = 0;
  double start = 0;
  Schedule base;
  double operator()(const Progress& progress) const {
    if (progress.step >= warmup) return base(progress);
    const double share = static_cast<double>(progress.step) / static_cast<double>(warmup);
    return base(progress) * (start + (1 - start) * share);
  }
};

}  // namespace invp
