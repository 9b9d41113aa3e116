// Learning-rate schedules: functions of the epoch, constant within it. Epochs count from 1, as in
// the released code.
#pragma once

#include <cmath>
#include <functional>
#include <numbers>
#include <vector>

namespace invp {

/// Factor on the base learning rate for an epoch.
using Schedule = std::function<double(int epoch)>;

/// (1 + cos(pi * epoch / epochs)) / 2, with the released code's numbering from 1: the first epoch
/// lies just under the base rate, the last has rate zero and only lets the bank and the running
/// statistics settle.
struct CosineSchedule {
  int epochs = 1;
  double operator()(int epoch) const {
    return 0.5 * (1.0 + std::cos(std::numbers::pi * epoch / epochs));
  }
};

/// `decay` to the number of milestones <= epoch, epochs numbered from 0 for the comparison
/// (protocols: "decay at 60, 80").
struct StepSchedule {
  std::vector<int> milestones;
  double decay = 0.1;
  double operator()(int epoch) const {
    double factor = 1.0;
    for (const int milestone : milestones) {
      if (milestone <= epoch - 1) factor *= decay;
    }
    return factor;
  }
};

/// The base schedule times epoch / warmup in the first `warmup` epochs.
struct WarmupSchedule {
  int warmup = 0;
  Schedule base;
  double operator()(int epoch) const {
    return base(epoch) * (epoch < warmup ? static_cast<double>(epoch) / warmup : 1.0);
  }
};

}  // namespace invp
