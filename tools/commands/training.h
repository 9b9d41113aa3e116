// What the commands that train share: the reporter that listens for signals, and what is said last.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "invp/report/text/run_reporter.h"
#include "invp/run/run.h"
#include "tools/options/command.h"
#include "tools/options/device_options.h"
#include "tools/options/rank_options.h"

namespace invp::cli {

/// The usual reporter, which also listens for stops (engine/core/stop.h) and remembers the last
/// step.
class StoppableReporter : public RunReporter {
 public:
  using RunReporter::RunReporter;
  void step_finished(const StepReport& report) override;
  bool stop_requested() const override;
  const StepReport& last_step() const { return last_step_; }

 private:
  StepReport last_step_;
};

/// "run      runs/a, resumed from last.safetensors"
std::string run_line(const RunConfig& config);

/// Says how the run ended. Throws Stopped after a signal that stopped it.
void tell_end(StoppableReporter& reporter, const RunResult& result, Device device);

/// Adds what --json says of every run: "epoch", "loss", "images_per_second", "peak_memory_bytes",
/// "checkpoint".
void add_run_results(Results& results, const RunResult& result, const StoppableReporter& reporter,
                     Device device);

/// A measure of the last epoch or, within the first, of the last step; null if there is none.
Results figure_of(const RunResult& result, const StoppableReporter& reporter,
                  const std::string& measure);

/// Line one of a run that several ranks share, said as soon as it is known, and what is to be said
/// of their cores. Returns line one for the log. Empty for one rank.
std::string tell_sharing(const JoinedRanks& joined, const RunRanks& ranks, const SharedStep& step);

/// Adds what --json says of the ranks: "ranks", "bn_groups".
void add_rank_results(Results& results, const RunConfig& run, std::int64_t groups);

/// Refused before the first step where ranks have other options, builds or threads, or other
/// `facts`: images, weights.
void agree_on_run(const JoinedRanks& ranks, const RunConfig& run, Device device,
                  const std::vector<IdentityEntry>& facts);

/// What `train` gives on rank 0, once --ranks has started the ranks and they have joined.
Results train_on_ranks(const RankOptions& ranks, const Options& options, const std::string& out,
                       const std::function<Results(const JoinedRanks&)>& train);

/// What a rank that does not speak gives when its run has ended. Throws Stopped after a stop.
Results silent_end();

}  // namespace invp::cli
