// Shows a run: progress on stderr, and in the run folder config.toml, log.txt, metrics.jsonl,
// events.out.tfevents.* and curves.svg.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "engine/core/stopwatch.h"
#include "engine/files/atomic_file.h"
#include "invp/report/text/metrics_writer.h"
#include "invp/report/text/progress.h"
#include "invp/report/text/tensorboard.h"
#include "invp/run/observer.h"

namespace invp {

/// The table of epochs (78 columns wide for pretraining): its heading and one row.
std::string epoch_heading(const RunPlan& plan);
std::string epoch_row(const EpochReport& report, const RunPlan& plan);

/// Once the run has started, a file that cannot be written is named once, and the run goes on: a
/// full disk must not cost what was trained. Metrics and curves are written whole each time, so
/// that they have every epoch when there is room again.
class RunReporter : public RunObserver {
 public:
  /// Touches nothing before the run has started. `title` is the title of the curves.
  RunReporter(std::filesystem::path folder, std::string title, std::string config_toml,
              std::FILE* terminal = stderr);

  /// Makes the folder and writes config.toml. Throws Error if the folder cannot be written.
  void run_started(const RunPlan& plan) override;
  void step_finished(const StepReport& report) override;
  void phase_progress(const char* phase, std::int64_t done, std::int64_t total) override;
  void epoch_finished(const EpochReport& report) override;
  void checkpoint_written(const std::string& path) override;
  void note(const std::string& line) override;
  /// For the log alone: a line that the person has seen already. Empty: nothing.
  void keep(const std::string& line);

  /// The last finished epoch, after a resume that of the earlier process.
  std::optional<EpochReport> last_epoch() const;

 private:
  void log(const std::string& line);
  /// Does it; what fails is said once for each file.
  void attempt(const std::string& file, const std::function<void()>& write);
  /// The loss, the fields and the measures of a step or an epoch as points of TensorBoard.
  template <class Report>
  void write_events(const std::string& prefix, const Report& report,
                    const std::vector<Measure>& fields);

  std::filesystem::path folder_;
  std::string title_;
  std::string config_toml_;
  std::string early_;  ///< of the log, before the run has started
  ProgressDisplay progress_;
  std::unique_ptr<AppendedFile> log_;
  std::set<std::string> not_written_;  ///< files that could not be, as people know
  std::unique_ptr<MetricsWriter> metrics_;
  std::unique_ptr<TensorBoardWriter> events_;
  RunPlan plan_;
  Pace pace_;
  Stopwatch stopwatch_;
  bool heading_printed_ = false;
};

}  // namespace invp
