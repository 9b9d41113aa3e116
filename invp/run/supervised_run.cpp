#include "invp/run/supervised_run.h"

#include <algorithm>
#include <cmath>
#include <deque>

#include "engine/core/error.h"
#include "engine/core/memory.h"
#include "engine/core/recorded_work.h"
#include "engine/core/stopwatch.h"
#include "engine/plans/plan_file.h"
#include "invp/run/run_folder.h"
#include "invp/run/supervised_checkpoint.h"

namespace invp {

namespace {

class SupervisedRun {
 public:
  SupervisedRun(const SupervisedConfig& config, BatchSource& batches, SupervisedTask& task,
                RunObserver& observer)
      : config_(config),
        batches_(batches),
        task_(task),
        observer_(observer),
        folder_(config.out),
        losses_(task.loss_names()) {
    position_.loss_sums.resize(losses_.size());
  }
  SupervisedResult run();

 private:
  /// A step whose losses are yet to be read.
  struct Queued {
    StepReport report;
    Tensor losses;
  };

  void start();
  bool train_epoch();
  void train_step(const Batch& batch);
  bool reports_are_due() const;
  void report_steps();
  EpochReport finish_epoch();
  std::vector<Measure> evaluate();
  bool note_best(const std::vector<Measure>& measures);
  void save(const std::string& name);
  void count_time() { position_.seconds += clock_.lap(); }
  double data_wait() const { return position_.wait_seconds / std::max(position_.seconds, 1e-9); }
  double rate(int epoch) const { return config_.rates.front()(epoch); }

  // On a GPU steps are queued: the host reads their losses twice a second, and keeps no further
  // ahead of the device than this.
  static constexpr double kSecondsBetweenReports = 0.5;
  static constexpr std::size_t kAhead = 2;

  const SupervisedConfig& config_;
  BatchSource& batches_;
  SupervisedTask& task_;
  RunObserver& observer_;
  const RunFolder folder_;
  const std::vector<std::string> losses_;
  SupervisedPosition position_;
  Stopwatch clock_;  ///< runs on from what position_ has of the epoch's seconds
  std::vector<Queued> queued_;
  std::deque<DeviceMark> ends_;  ///< of the steps that may be under way
  Stopwatch since_report_;
  Stopwatch since_save_;
  DataWaitAdvice advice_;
};

SupervisedResult SupervisedRun::run() {
  start();
  SupervisedResult result{.checkpoint = folder_.checkpoint("last")};
  if (position_.epoch > config_.epochs) {
    observer_.note("nothing left to train: the run is finished");
    result.last = {.epoch = config_.epochs,
                   .global_step = position_.global_step,
                   .loss = position_.last_loss,
                   .learning_rate = rate(config_.epochs),
                   .measures = evaluate()};
  }
  while (position_.epoch <= config_.epochs && train_epoch()) result.last = finish_epoch();
  result.finished = position_.epoch > config_.epochs;
  if (!result.finished) {
    save("last");
    folder_.write_skipped_images(batches_.bad_images());
  }
  result.epoch = position_.epoch - 1;
  result.global_step = position_.global_step;
  result.best = position_.best;
  return result;
}

void SupervisedRun::start() {
  folder_.create();
  // Which algorithms a GPU's libraries take is measured: a resumed run must take the same.
  if (task_.device() != kCpu) set_run_plan_file(config_.out / "plans.json");
  if (config_.resume) {
    position_ = load_supervised(*config_.resume, task_, config_);
    observer_.note(message("resumed from ", config_.resume->string(), " at epoch ", position_.epoch,
                           ", step ", position_.step));
  }
  observer_.run_started({.epochs = config_.epochs,
                         .first_epoch = position_.epoch,
                         .first_step = position_.step + 1,
                         .steps_per_epoch = batches_.batches_per_epoch(),
                         .images_per_epoch = batches_.images_per_epoch(),
                         .shown = config_.shown});
}

// Trains to the end of the epoch under way. False if the run is to stop before it.
bool SupervisedRun::train_epoch() {
  batches_.start_epoch(position_.epoch, position_.step);
  for (std::size_t group = 0; group < config_.rates.size(); ++group)
    task_.optimizer().set_learning_rate(group, config_.rates[group](position_.epoch));
  while (true) {
    if (observer_.stop_requested() ||
        (config_.stop_after > 0 && position_.global_step >= config_.stop_after)) {
      report_steps();
      return false;
    }
    clock_.restart();
    const double waited = batches_.wait_seconds();
    const std::optional<Batch> batch = batches_.next();
    if (!batch) return true;
    position_.wait_seconds += batches_.wait_seconds() - waited;
    train_step(*batch);
    count_time();
    const bool due = config_.save_steps > 0 ? position_.step % config_.save_steps == 0
                                            : since_save_.seconds() > 60 * config_.save_minutes;
    if (due) {
      report_steps();
      save("last");
    }
  }
}

void SupervisedRun::train_step(const Batch& batch) {
  while (ends_.size() >= kAhead) {
    ends_.front().wait();
    ends_.pop_front();
  }
  Tensor losses = task_.train_step(batch);
  ends_.emplace_back(task_.device());
  const auto images = static_cast<std::int64_t>(batch.indices.size());
  position_.step = batch.position + 1;
  ++position_.global_step;
  position_.images += images;
  queued_.push_back({.report = {.epoch = position_.epoch,
                                .step = position_.step,
                                .global_step = position_.global_step,
                                .images = images,
                                .learning_rate = rate(position_.epoch)},
                     .losses = std::move(losses)});
  if (reports_are_due()) report_steps();
}

bool SupervisedRun::reports_are_due() const {
  return task_.device() == kCpu || since_report_.seconds() > kSecondsBetweenReports;
}

void SupervisedRun::report_steps() {
  for (Queued& step : queued_) {
    StepReport& report = step.report;
    const Tensor losses = step.losses.to(kCpu);
    const std::span<const float> values = losses.span<float>();
    CHECK(values.size() == losses_.size(), "[", config_.command, "] ", values.size(),
          " losses of a step, expected ", losses_.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      CHECK(std::isfinite(values[i]), "the ", losses_[i], " is ", values[i], " at epoch ",
            report.epoch, ", step ", report.step,
            ": training stops. Lower the learning rate; checkpoints of before are in ",
            folder_.checkpoints().string());
      position_.loss_sums[i] += static_cast<double>(values[i]) * static_cast<double>(report.images);
      if (i > 0) report.measures.push_back({losses_[i], values[i]});
    }
    report.loss = values.front();
    count_time();
    report.data_wait = data_wait();
    observer_.step_finished(report);
  }
  queued_.clear();
  since_report_.restart();
}

// Evaluation, report and checkpoints; moves the position to the start of the next epoch.
EpochReport SupervisedRun::finish_epoch() {
  report_steps();
  const int epoch = position_.epoch;
  const bool last = epoch == config_.epochs;
  const auto images = static_cast<double>(std::max<std::int64_t>(position_.images, 1));
  EpochReport report{.epoch = epoch,
                     .global_step = position_.global_step,
                     .loss = position_.loss_sums.front() / images,
                     .learning_rate = rate(epoch),
                     .seconds = position_.seconds,
                     .images_per_second = images / std::max(position_.seconds, 1e-9),
                     .data_wait = data_wait()};
  bool best = false;
  if (last || epoch % config_.evaluate_every == 0) {
    report.measures = evaluate();
    best = note_best(report.measures);
  }
  for (std::size_t i = 1; i < losses_.size(); ++i)
    report.measures.push_back({losses_[i], position_.loss_sums[i] / images});
  report.peak_memory_bytes = peak_memory_bytes(task_.device());
  report.skipped_images = std::ssize(batches_.bad_images());

  position_ = {.epoch = epoch + 1,
               .global_step = position_.global_step,
               .loss_sums = std::vector<double>(losses_.size()),
               .last_loss = report.loss,
               .best = position_.best};
  observer_.epoch_finished(report);
  DataWait wait = batches_.reading();
  wait.share = report.data_wait;
  advice_.note(wait, batches_.wait_seconds(), observer_);
  folder_.write_skipped_images(batches_.bad_images());
  save("last");
  if (best) save("best");
  if (config_.save_every > 0 && (epoch % config_.save_every == 0 || last)) {
    save(epoch_checkpoint_name(epoch));
  }
  return report;
}

std::vector<Measure> SupervisedRun::evaluate() {
  return task_.evaluate([this](const char* phase, std::int64_t done, std::int64_t total) {
    observer_.phase_progress(phase, done, total);
  });
}

// True if the measure that decides is better than ever.
bool SupervisedRun::note_best(const std::vector<Measure>& measures) {
  bool best = false;
  for (const ShownMeasure& shown : config_.shown) {
    const double* const value = find_measure(measures, shown.name);
    if (value == nullptr) continue;
    const auto known = position_.best.find(shown.name);
    if (known != position_.best.end() && !(*value > known->second.value)) continue;
    position_.best[shown.name] = {.value = *value, .epoch = position_.epoch};
    best = best || &shown == &config_.shown.front();
  }
  return best;
}

void SupervisedRun::save(const std::string& name) {
  const std::filesystem::path path = folder_.checkpoint(name);
  save_supervised(path, task_, position_, config_.identity);
  since_save_.restart();
  observer_.checkpoint_written(path.string());
}

}  // namespace

SupervisedResult run_supervised(const SupervisedConfig& config, BatchSource& batches,
                                SupervisedTask& task, RunObserver& observer) {
  CHECK(config.epochs > 0 && config.evaluate_every > 0 && !config.rates.empty() &&
            config.rates.size() == task.optimizer().groups() && !config.shown.empty(),
        "[", config.command, "] wants epochs, a learning rate for each group and a measure");
  return SupervisedRun(config, batches, task, observer).run();
}

}  // namespace invp
