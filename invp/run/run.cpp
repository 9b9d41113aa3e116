#include "invp/run/run.h"

#include <optional>

#include "engine/core/error.h"
#include "engine/core/stop.h"
#include "engine/files/atomic_file.h"
#include "invp/run/checkpoint.h"
#include "invp/run/conditions.h"
#include "invp/run/run_loop.h"
#include "invp/run/share_checkpoint.h"
#include "invp/run/share_plans.h"
#include "invp/run/shared_batches.h"

namespace invp {

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
