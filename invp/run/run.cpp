#include "invp/run/run.h"

#include <algorithm>
#include <optional>

#include "engine/core/error.h"
#include "engine/core/memory.h"
#include "engine/core/stop.h"
#include "engine/core/stopwatch.h"
#include "engine/files/atomic_file.h"
#include "invp/run/checkpoint.h"
#include "invp/run/conditions.h"
#include "invp/run/data_wait.h"
#include "invp/run/run_checkpoints.h"
#include "invp/run/run_folder.h"
#include "invp/run/share_checkpoint.h"
#include "invp/run/share_plans.h"
#include "invp/run/shared_batches.h"

namespace invp {

namespace {

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

RunResult Run::run() {
  start();
  RunResult result{.checkpoint = folder_.checkpoint("last")};
  try {
    prepare();
    train(result);
    result.finished = over();
  } catch (const Stopped&) {
    // In a wait for images or in an evaluation, so between two steps.
    stop();
  }
  result.epoch = position_.progress.epoch - 1;
  result.steps = position_.progress.step;
  result.best = position_.best;
  return result;
}

void Run::train(RunResult& result) {
  if (over()) result.last = report_again();
  while (!over()) {
    if (!train_epoch()) return stop();
    result.last = finish_epoch();
  }
}

void Run::stop() {
  report_steps();
  write_skipped_images();
  if (!saved_) save({"last"});
}

// All checks come before the first byte that is written.
void Run::start() {
  if (writes_ && std::filesystem::exists(config_.out)) lock_.emplace(config_.out);
  resume();
  write_or_serve([&] { take_folder(); });
  // Which algorithms a GPU's libraries take is measured: a resumed run must take the same.
  if (task_.device() != kCpu) share_plans(*config_.ranks.communicator, config_.out / "plans.json");
  const Progress& at = position_.progress;
  first_step_ = at.step;
  observer_.run_started({.epochs = config_.epochs,
                         .first_epoch = at.epoch,
                         .first_step = at.epoch_step + 1,
                         .steps_per_epoch = at.steps_per_epoch,
                         .images_per_epoch = batches_.images_per_epoch(),
                         .steps = config_.steps_in_reports ? config_.steps : 0,
                         .shown = config_.shown});
  batches_.remember_bad(position_.bad_images);
  if (!writes_) return;
  for (const auto& [name, content] : config_.files) write_file(config_.out / name, content);
}

void Run::take_folder() {
  make_folders(config_.out);
  if (!lock_) lock_.emplace(config_.out);
  folder_.prepare();
  if (!resumed_.empty() && folder_.holds(resumed_)) checkpoints_.settle(resumed_, position_);
}

void Run::prepare() {
  if (position_.prepared) return;
  config_.ranks.enter("preparation", position_.progress.step);
  task_.prepare(batches_, told());
  position_.prepared = true;
}

void Run::resume() {
  config_.ranks.enter("reading the checkpoint", 0);
  const auto take = [&](const Checkpoint& checkpoint) {
    position_ =
        restore(checkpoint, config_.command, task_, batches_.batches_per_epoch(), config_.identity);
  };
  std::optional<Checkpoint> taken;
  const SpreadRows* const spread = task_.spread_rows();
  if (writes_)
    taken = folder_.to_resume(config_.resume, observer_,
                              [&](const Checkpoint& whole) { take(with_own_rows(whole, spread)); });
  taken = share_checkpoint(*config_.ranks.communicator, std::move(taken), spread);
  if (!taken) return;
  if (!writes_) take(*taken);
  resumed_ = taken->path;
  const Metadata& metadata = taken->file.metadata;
  const std::string elsewhere = resumed_elsewhere(metadata, task_.device(), resumed_.string());
  if (!elsewhere.empty()) observer_.note(elsewhere);
  const char* const unproven = "; it has no checksums, so that damage to it would not be seen";
  observer_.note(message("resumed from ", resumed_.string(), " at epoch ", position_.progress.epoch,
                         ", step ", position_.progress.epoch_step,
                         taken->file.has_checksums ? "" : unproven));
}

// Trains to the end of the epoch under way. False if the run is to stop before it.
bool Run::train_epoch() {
  batches_.start_epoch(position_.progress.epoch, position_.progress.epoch_step);
  while (true) {
    if (stop_requested()) return false;
    if (all_steps_done()) return true;
    clock_.restart();
    const double waited = batches_.wait_seconds();
    const std::optional<Batch> batch = next_batch();
    if (!batch) return true;
    position_.wait_seconds += batches_.wait_seconds() - waited;
    if (batches_.save_first()) save_inside_epoch();
    train_step(*batch);
    count_time();
    if (checkpoints_.due_by_steps(position_) || (config_.ranks.alone() && wants_save()))
      save_inside_epoch();
  }
}

// Its time is not the epoch's.
void Run::save_inside_epoch() {
  count_time();
  report_steps();
  write_skipped_images();
  save({"last"});
  clock_.restart();
}

// Images that fail (too many are bad, the disk is gone) cost no step that was taken.
std::optional<Batch> Run::next_batch() {
  try {
    return batches_.next();
  } catch (const Error&) {
    report_steps();
    write_skipped_images();
    // Of rows that others hold nothing can be saved: they may not have met the failure.
    if (position_.progress.step > first_step_ && !rows_elsewhere()) save({"last"});
    throw;
  }
}

void Run::train_step(const Batch& batch) {
  Progress& at = position_.progress;
  const double rate = task_.learning_rate(at);
  saved_ = false;
  set_unsaved_work(true);
  task_.step(batch, at);
  const std::int64_t images = batch.images_of_all();
  at.epoch_step = batch.position + 1;
  ++at.step;
  position_.images += images;
  queued_.push_back({.epoch = at.epoch,
                     .step = at.epoch_step,
                     .global_step = at.step,
                     .images = images,
                     .learning_rate = rate});
  if (reports_are_due()) report_steps();
}

// Reading losses waits for the device, so there it is done twice a second.
bool Run::reports_are_due() const {
  constexpr double kSeconds = 0.5;
  return task_.device() == kCpu || std::ssize(queued_) == StepQueue::kMost ||
         since_report_.seconds() > kSeconds;
}

void Run::report_steps() {
  if (queued_.empty()) return;
  const std::vector<StepLosses> outcomes = task_.finish();
  CHECK(outcomes.size() == queued_.size(), "[run] ", outcomes.size(), " outcomes of ",
        queued_.size(), " steps");
  count_time();
  for (std::size_t i = 0; i < outcomes.size(); ++i) report_step(queued_[i], outcomes[i]);
  queued_.clear();
  since_report_.restart();
}

void Run::report_step(StepReport& report, const StepLosses& outcome) {
  if (const std::string trouble = outcome.trouble(); !trouble.empty()) {
    fail(trouble, " at epoch ", report.epoch, ", step ", report.step,
         ": training stops before the weights change. ", config_.on_divergence,
         "; checkpoints of before are in ", folder_.checkpoints().string());
  }
  for (std::size_t i = 0; i < losses_.size(); ++i) {
    position_.loss_sums[i] += outcome.losses[i] * static_cast<double>(report.images);
    if (i > 0) report.measures.push_back({losses_[i], outcome.losses[i]});
  }
  report.loss = outcome.losses.front();
  report.data_wait = data_wait();
  observer_.step_finished(report);
}

// What the epoch under way came to, before it is evaluated.
EpochReport Run::report_of_epoch() const {
  const auto images = static_cast<double>(std::max<std::int64_t>(position_.images, 1));
  EpochReport report{.epoch = position_.progress.epoch,
                     .global_step = position_.progress.step,
                     .loss = position_.loss_sums.front() / images,
                     .seconds = position_.seconds,
                     .images_per_second = images / std::max(position_.seconds, 1e-9),
                     .data_wait = data_wait()};
  // The rate of the epoch's last step.
  Progress last = position_.progress;
  --last.step, --last.epoch_step;
  report.learning_rate = task_.learning_rate(last);
  for (std::size_t i = 1; i < losses_.size(); ++i)
    report.measures.push_back({losses_[i], position_.loss_sums[i] / images});
  return report;
}

// Evaluation, report and checkpoints; moves the position to the start of the next epoch.
EpochReport Run::finish_epoch() {
  config_.ranks.enter("evaluation", position_.progress.step);
  report_steps();
  EpochReport report = report_of_epoch();
  const int epoch = position_.progress.epoch;
  const bool last = epoch == config_.epochs || all_steps_done();
  const bool judged_now =
      config_.evaluate_every > 0 && (last || epoch % config_.evaluate_every == 0);
  // Whatever evaluation meets, the epoch is not lost: resumed from here, only that is repeated.
  if (judged_now || last) {
    write_skipped_images();
    save({"last"});
  }
  if (last) task_.finish_training(told());
  if (judged_now) {
    const std::vector<Measure> judged = evaluate();
    note_best(config_.shown, judged, position_);
    report.measures.insert(report.measures.end(), judged.begin(), judged.end());
  }
  for (Measure& measure : task_.after_epoch()) report.measures.push_back(std::move(measure));
  report.peak_memory_bytes = peak_memory_bytes(task_.device());
  report.skipped_images = std::ssize(batches_.bad_images());

  Position next{.progress = position_.progress, .best = position_.best, .prepared = true};
  ++next.progress.epoch, next.progress.epoch_step = 0;
  next.loss_sums.resize(losses_.size());
  const auto images = static_cast<double>(std::max<std::int64_t>(position_.images, 1));
  for (const double sum : position_.loss_sums) next.last_losses.push_back(sum / images);
  position_ = std::move(next);
  saved_ = false;
  observer_.epoch_finished(report);
  note_bad_images();
  advise(report);
  write_skipped_images();
  save(checkpoints_.names_of_epoch(epoch, position_));
  return report;
}

// Of a run that is asked again when nothing is left to do.
EpochReport Run::report_again() {
  observer_.note("nothing left to train: the run is finished");
  EpochReport report{.epoch = position_.progress.epoch - 1,
                     .global_step = position_.progress.step,
                     .loss = position_.last_losses.front()};
  for (std::size_t i = 1; i < losses_.size(); ++i)
    report.measures.push_back({losses_[i], position_.last_losses[i]});
  for (Measure& measure : evaluate()) report.measures.push_back(std::move(measure));
  return report;
}

std::vector<Measure> Run::evaluate() {
  Evaluation judged = task_.evaluate(told());
  if (judged.bad.size() > bad_validation_.size())
    observer_.note(left_out_line(judged.bad, judged.images, "validation images"));
  bad_validation_ = std::move(judged.bad);
  return judged.measures;
}

void Run::note_bad_images() {
  const std::vector<BadImage> bad = batches_.bad_images();
  if (std::ssize(bad) > bad_told_)
    observer_.note(left_out_line(bad, batches_.images_per_epoch(), "training images"));
  bad_told_ = std::ssize(bad);
}

void Run::write_skipped_images() {
  if (!writes_) return;
  std::vector<BadImage> all = batches_.bad_images();
  all.insert(all.end(), bad_validation_.begin(), bad_validation_.end());
  folder_.write_skipped_images(all);
}

void Run::save(const std::vector<std::string>& names) {
  position_.bad_images = batches_.bad_places();
  config_.ranks.enter("checkpoint", position_.progress.step);
  write_or_serve([&] { checkpoints_.save(names, position_); });
  saved_ = true;
}

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

void Run::advise(const EpochReport& report) {
  DataWait wait = batches_.reading();
  wait.share = report.data_wait;
  data_wait_advice_.note(wait, batches_.wait_seconds(), observer_);
  const std::string advice = advised_ ? "" : task_.advice();
  if (!advice.empty()) observer_.note(advice);
  advised_ = advised_ || !advice.empty();
}

}  // namespace

RunResult run_task(const RunConfig& config, BatchSource& batches, Task& task,
                   RunObserver& observer) {
  CHECK(config.epochs > 0, "[", config.command, "] epochs: ", config.epochs);
  if (config.ranks.alone()) return Run(config, batches, task, observer).run();
  SilentObserver silent(observer);
  RunObserver& told = config.ranks.first() ? observer : silent;
  const Run* running = nullptr;
  SharedBatches shared(config.ranks, batches, config.max_bad_share,
                       {.stop = [&] { return observer.stop_requested() || stop_signal() != 0; },
                        .save = [&] { return running != nullptr && running->wants_save(); },
                        .tell = [&](const std::string& note) { told.note(note); }});
  Run run(config, shared, task, told);
  running = &run;
  return run.run();
}

}  // namespace invp
