// The run folder of a command that trains: its options, what may be resumed, who listens for
// signals.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "invp/report/text/run_reporter.h"
#include "tools/options/options.h"

namespace invp::cli {

struct RunOptions {
  std::string out;
  std::string resume;
  int save_every = 0;
  int save_steps = 0;
  double save_minutes = 10;
  double max_bad_share = 0.01;
  std::int64_t stop_after = 0;
};

/// --out, --resume, --save-every, ... under the heading "Run". `run.out` holds the default.
void declare_run(Options& options, RunOptions& run);

/// Into the settings of a run (PretrainConfig, SupervisedConfig), but for what is resumed and for
/// max_bad_share, which is the loader's.
template <class Config>
void apply(const RunOptions& run, Config& config) {
  config.out = run.out;
  config.save_every = run.save_every;
  config.save_steps = run.save_steps;
  config.save_minutes = run.save_minutes;
  config.stop_after = run.stop_after;
}

/// A second run in the folder of a first would mix their files and lose the checkpoints of the
/// first: throws Error unless the run is to be resumed.
void refuse_to_overwrite(const std::string& out, const std::string& resume);

/// What --resume says: nothing, the newest whole checkpoint of the folder, or the file, which must
/// be there.
std::optional<std::filesystem::path> checkpoint_to_resume(const std::string& out,
                                                          const std::string& resume,
                                                          RunObserver& observer);

/// The usual reporter, which also listens for signals (a StopSignal must live) and remembers the
/// last step.
class StoppableReporter : public RunReporter {
 public:
  using RunReporter::RunReporter;
  void step_finished(const StepReport& report) override;
  bool stop_requested() const override;
  const StepReport& last_step() const { return last_step_; }

 private:
  StepReport last_step_;
};

}  // namespace invp::cli
