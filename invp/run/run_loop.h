// How a run goes from its first check to its last checkpoint (for run.cpp, which walks through the
// epochs, and run_epoch.cpp, which ends them).
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/stop.h"
#include "engine/core/stopwatch.h"
#include "invp/run/data_wait.h"
#include "invp/run/run.h"
#include "invp/run/run_checkpoints.h"
#include "invp/run/run_folder.h"

namespace invp {

class Run {
 public:
  Run(const RunConfig& config, BatchSource& batches, Task& task, RunObserver& observer)
      : config_(config),
        writes_(config.ranks.first()),
        batches_(batches),
        task_(task),
        observer_(observer),
        folder_(config.out),
        checkpoints_(config, folder_, task, observer),
        losses_(task.loss_names()) {
    position_.progress.steps_per_epoch = batches.batches_per_epoch();
    position_.loss_sums.resize(losses_.size());
    position_.last_losses.resize(losses_.size());
  }
  ~Run() { set_unsaved_work(false); }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  RunResult run();
  /// Is a checkpoint due by this process's clock? Several ranks agree on it with their next batch.
  bool wants_save() const {
    return writes_ && !saved_ && position_.progress.step > first_step_ &&
           checkpoints_.due_by_clock();
  }

 private:
  void start();
  void take_folder();
  void prepare();
  void resume();
  void train(RunResult& result);
  void stop();
  bool train_epoch();
  void save_inside_epoch();
  std::optional<Batch> next_batch();
  void train_step(const Batch& batch);
  bool reports_are_due() const;
  void report_steps();
  void report_step(StepReport& report, const StepLosses& outcome);
  EpochReport finish_epoch();
  EpochReport report_of_epoch() const;
  EpochReport report_again();
  std::vector<Measure> evaluate();
  void note_bad_images();
  void write_skipped_images();
  void save(const std::vector<std::string>& names);
  template <class Write>
  void write_or_serve(const Write& write) const;
  void advise(const EpochReport& report);

  bool all_steps_done() const { return invp::all_steps_done(config_, position_); }
  /// Trained to the end, and the last epoch evaluated: the position is at the start of the next.
  bool over() const {
    return position_.progress.epoch > config_.epochs ||
           (all_steps_done() && position_.progress.epoch_step == 0);
  }
  /// What one rank is asked, several agree on with their next batch.
  bool stop_requested() const {
    return (config_.ranks.alone() && observer_.stop_requested()) ||
           (config_.stop_after > 0 && position_.progress.step >= config_.stop_after);
  }
  /// Other ranks hold a part of what a checkpoint has, so that they take part in writing it.
  bool rows_elsewhere() const { return !config_.ranks.alone() && task_.spread_rows() != nullptr; }
  void count_time() { position_.seconds += clock_.lap(); }
  double data_wait() const { return position_.wait_seconds / std::max(position_.seconds, 1e-9); }
  Task::PhaseProgress told() {
    return [this](const char* phase, std::int64_t done, std::int64_t total) {
      config_.ranks.move_on();
      observer_.phase_progress(phase, done, total);
    };
  }

  const RunConfig& config_;
  const bool writes_;  ///< the run folder is this process's
  BatchSource& batches_;
  Task& task_;
  RunObserver& observer_;
  const RunFolder folder_;
  RunCheckpoints checkpoints_;
  const std::vector<std::string> losses_;
  std::optional<FolderLock> lock_;
  std::filesystem::path resumed_;  ///< from this checkpoint; empty: started anew
  Position position_;
  std::int64_t first_step_ = 0;     ///< taken before this part of the run
  Stopwatch clock_;                 ///< runs on from what position_ has of the epoch's seconds
  std::vector<StepReport> queued_;  ///< steps whose losses are yet to be read
  Stopwatch since_report_;
  DataWaitAdvice data_wait_advice_;
  bool advised_ = false;
  bool saved_ = false;  ///< the position is that of `last`
  std::vector<BadImage> bad_validation_;
  std::int64_t bad_told_ = 0;  ///< training images of which the person knows
};

/// Rank 0 writes, and asks the others for rows that it does not have.
template <class Write>
void Run::write_or_serve(const Write& write) const {
  if (writes_) write();
  if (!rows_elsewhere()) return;
  if (writes_)
    task_.spread_rows()->dismiss();
  else
    task_.spread_rows()->serve();
}

}  // namespace invp
