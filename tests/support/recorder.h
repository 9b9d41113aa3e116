// Keeps what a run tells it, and may ask it to stop.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "invp/run/observer.h"

namespace invp::testing {

class Recorder : public RunObserver {
 public:
  void step_finished(const StepReport& report) override { steps.push_back(report); }
  void epoch_finished(const EpochReport& report) override { epochs.push_back(report); }
  void note(const std::string& line) override { notes.push_back(line); }
  bool stop_requested() const override { return stop_at > 0 && std::ssize(steps) >= stop_at; }

  std::vector<StepReport> steps;
  std::vector<EpochReport> epochs;
  std::vector<std::string> notes;
  std::int64_t stop_at = 0;  ///< steps; 0: never
};

}  // namespace invp::testing
