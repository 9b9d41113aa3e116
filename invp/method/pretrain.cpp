#include "invp/method/pretrain.h"

#include <algorithm>

#include "data/load/batch_feed.h"
#include "engine/core/memory.h"
#include "engine/core/stopwatch.h"
#include "engine/plans/plan_file.h"
#include "invp/method/embed.h"
#include "invp/method/knn.h"
#include "invp/method/purity.h"
#include "invp/method/run_identity.h"
#include "invp/method/trainer.h"
#include "invp/run/checkpoint.h"
#include "invp/run/data_wait.h"
#include "invp/run/run_folder.h"
#include "optim/schedule.h"

namespace invp {

namespace {

Schedule make_schedule(const PretrainConfig& config) {
  Schedule base =
      config.schedule == ScheduleKind::kCosine
          ? Schedule(CosineSchedule{.epochs = config.epochs})
          : Schedule(StepSchedule{.milestones = config.milestones, .decay = config.lr_decay});
  if (config.warmup_epochs == 0) return base;
  return WarmupSchedule{.warmup = config.warmup_epochs, .base = std::move(base)};
}

std::vector<std::int64_t> labels_of(const Dataset& dataset) {
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < dataset.size(); ++i) labels.push_back(dataset.label(i));
  return labels;
}

class PretrainRun {
 public:
  PretrainRun(const PretrainConfig& config, const Dataset& train, const Dataset* validation,
              RunObserver& observer);
  PretrainResult run();

 private:
  bool train_epoch();
  void train_step(const Batch& batch, double lr_factor);
  bool reports_are_due() const;
  void report_steps();
  EpochReport finish_epoch();
  void evaluate(EpochReport& report);
  void measure_purity(EpochReport& report);
  void prepare_bank();
  void save(const std::string& name);
  void count_time() { position_.seconds += clock_.lap(); }
  void tell_of_recording();
  double data_wait() const { return position_.wait_seconds / std::max(position_.seconds, 1e-9); }

  const PretrainConfig& config_;
  const Dataset& train_;
  const Dataset* validation_;
  RunObserver& observer_;
  RunFolder folder_;
  Schedule schedule_;
  RunIdentity identity_;
  Trainer trainer_;
  BatchFeed loader_;
  RunPosition position_;
  Stopwatch clock_;                 ///< runs on from what position_ has of the epoch's seconds
  std::vector<StepReport> queued_;  ///< steps whose losses are yet to be read
  Stopwatch since_report_;
  Stopwatch since_save_;
  DataWaitAdvice advice_;
  bool told_of_recording_ = false;
};

PretrainRun::PretrainRun(const PretrainConfig& config, const Dataset& train,
                         const Dataset* validation, RunObserver& observer)
    : config_(config),
      train_(train),
      validation_(validation),
      observer_(observer),
      folder_(config.out),
      schedule_(make_schedule(config)),
      identity_(identity_of(config, train)),
      trainer_({.network = config.network,
                .objective = config.objective,
                .learning_rate = config.learning_rate,
                .momentum = config.momentum,
                .weight_decay = config.weight_decay,
                .compute_type = config.compute_type,
                .seed = config.seed,
                .device = config.device},
               train.size()),
      loader_(train, config.augment,
              {.batch_size = config.batch_size,
               .workers = config.workers,
               .seed = config.seed,
               .max_bad_share = config.max_bad_share,
               .augment_on = config.augment_on.value_or(best_augment_on(config.device)),
               .decode_on = config.decode_on},
              config.device) {}

PretrainResult PretrainRun::run() {
  folder_.create();
  if (config_.resume) {
    RunState state{.network = trainer_.network(),
                   .optimizer = trainer_.optimizer(),
                   .bank = trainer_.bank().rows(),
                   .neighbors = trainer_.graph().rows(),
                   .position = {}};
    load_checkpoint(*config_.resume, state, identity_);
    position_ = state.position;
    observer_.note(message("resumed from ", config_.resume->string(), " at epoch ", position_.epoch,
                           ", step ", position_.step));
  }
  observer_.run_started({.epochs = config_.epochs,
                         .first_epoch = position_.epoch,
                         .first_step = position_.step + 1,
                         .steps_per_epoch = loader_.batches_per_epoch(),
                         .images_per_epoch = train_.size()});
  if (position_.global_step == 0) prepare_bank();
  PretrainResult result{.checkpoint = folder_.checkpoint("last")};
  const bool nothing_left = position_.epoch > config_.epochs;
  while (position_.epoch <= config_.epochs) {
    if (!train_epoch()) {
      save("last");
      folder_.write_skipped_images(loader_.bad_images());
      result.epoch = position_.epoch - 1;
      return result;
    }
    result.last = finish_epoch();
  }
  if (nothing_left) {
    observer_.note("nothing left to train: the run is finished");
    result.last = {.epoch = config_.epochs,
                   .global_step = position_.global_step,
                   .loss = position_.last_loss,
                   .loss_ins = position_.last_loss_ins,
                   .loss_inv = position_.last_loss_inv};
    evaluate(result.last);
  }
  result.finished = true;
  result.epoch = config_.epochs;
  result.best_knn_top1 = position_.best_knn_top1;
  result.best_epoch = position_.best_epoch;
  return result;
}

// What the bank holds before the first step. One pass of the untrained network, if asked for, under
// epoch 0's augmentations.
void PretrainRun::prepare_bank() {
  if (config_.bank_start == BankStart::kRandom && !config_.center_head) return;
  loader_.start_epoch(0);
  std::int64_t done = 0;
  while (const std::optional<Batch> batch = loader_.next()) {
    const Tensor images = images_on(*batch, config_.device);
    if (config_.center_head && done == 0) trainer_.center_head(images);
    if (config_.bank_start == BankStart::kRandom) return;
    trainer_.fill_bank(images, batch->indices);
    done += std::ssize(batch->indices);
    observer_.phase_progress("bank", done, train_.size());
  }
}

// Trains to the end of the epoch under way. False if the run is to stop before it.
bool PretrainRun::train_epoch() {
  loader_.start_epoch(position_.epoch, position_.step);
  const double lr_factor = schedule_(position_.epoch);
  while (true) {
    const bool stop = observer_.stop_requested() ||
                      (config_.stop_after > 0 && position_.global_step >= config_.stop_after);
    if (stop) {
      report_steps();
      return false;
    }
    clock_.restart();
    const double waited = loader_.stats().wait_seconds;
    const std::optional<Batch> batch = loader_.next();
    if (!batch) return true;
    position_.wait_seconds += loader_.stats().wait_seconds - waited;
    train_step(*batch, lr_factor);
    count_time();
    const bool due = config_.save_steps > 0 ? position_.step % config_.save_steps == 0
                                            : since_save_.seconds() > 60 * config_.save_minutes;
    if (due) {
      report_steps();
      save("last");
    }
  }
}

void PretrainRun::train_step(const Batch& batch, double lr_factor) {
  trainer_.enqueue(images_on(batch, config_.device), batch.indices, position_.epoch, lr_factor);
  const auto images = static_cast<std::int64_t>(batch.indices.size());
  position_.step = batch.position + 1;
  ++position_.global_step;
  position_.images += images;
  queued_.push_back({.epoch = position_.epoch,
                     .step = position_.step,
                     .global_step = position_.global_step,
                     .images = images,
                     .learning_rate = config_.learning_rate * lr_factor});
  if (reports_are_due()) report_steps();
}

// Reading losses waits for the device, so there it is done twice a second.
bool PretrainRun::reports_are_due() const {
  constexpr double kSeconds = 0.5;
  return config_.device == kCpu || std::ssize(queued_) == Trainer::kMostQueued ||
         since_report_.seconds() > kSeconds;
}

void PretrainRun::report_steps() {
  if (queued_.empty()) return;
  const std::vector<StepLosses> losses = trainer_.finish();
  count_time();
  for (std::size_t i = 0; i < losses.size(); ++i) {
    StepReport& step = queued_[i];
    if (const std::string trouble = losses[i].trouble(); !trouble.empty()) {
      fail(trouble, " at epoch ", step.epoch, ", step ", step.step,
           ": training stops before the weights change. Lower --lr",
           config_.warmup_epochs == 0 ? " or add --warmup-epochs" : "",
           "; checkpoints of before are in ", folder_.checkpoints().string());
    }
    const auto images = static_cast<double>(step.images);
    position_.loss_sum += losses[i].loss * images;
    position_.loss_ins_sum += losses[i].loss_ins * images;
    position_.loss_inv_sum += losses[i].loss_inv * images;
    step.loss = losses[i].loss;
    step.loss_ins = losses[i].loss_ins;
    step.loss_inv = losses[i].loss_inv;
    step.data_wait = data_wait();
    observer_.step_finished(step);
  }
  queued_.clear();
  since_report_.restart();
}

void PretrainRun::tell_of_recording() {
  const std::string reason = trainer_.why_not_recorded();
  if (told_of_recording_ || reason.empty()) return;
  told_of_recording_ = true;
  observer_.note(
      "steps are queued one operation at a time instead of being replayed, which costs "
      "speed alone: " +
      reason);
}

// Evaluation, report and checkpoints; moves the position to the start of the next epoch.
EpochReport PretrainRun::finish_epoch() {
  report_steps();
  const int epoch = position_.epoch;
  const auto images = static_cast<double>(std::max<std::int64_t>(position_.images, 1));
  EpochReport report{.epoch = epoch,
                     .global_step = position_.global_step,
                     .loss = position_.loss_sum / images,
                     .loss_ins = position_.loss_ins_sum / images,
                     .loss_inv = position_.loss_inv_sum / images,
                     .learning_rate = config_.learning_rate * schedule_(epoch),
                     .seconds = position_.seconds,
                     .images_per_second = images / std::max(position_.seconds, 1e-9),
                     .data_wait = data_wait()};
  const bool last = epoch == config_.epochs;
  if (config_.knn_every > 0 && (epoch % config_.knn_every == 0 || last)) evaluate(report);
  measure_purity(report);
  report.peak_memory_bytes = peak_memory_bytes(config_.device);
  report.skipped_images = std::ssize(loader_.bad_images());
  const bool best = report.knn_top1 && *report.knn_top1 > position_.best_knn_top1;

  position_ = {.epoch = epoch + 1,
               .global_step = position_.global_step,
               .best_knn_top1 = best ? *report.knn_top1 : position_.best_knn_top1,
               .best_epoch = best ? epoch : position_.best_epoch,
               .last_loss = report.loss,
               .last_loss_ins = report.loss_ins.value_or(0),
               .last_loss_inv = report.loss_inv.value_or(0)};
  observer_.epoch_finished(report);
  DataWait wait = reading_of(train_, config_.workers);
  wait.share = report.data_wait;
  advice_.note(wait, loader_.stats().wait_seconds, observer_);
  tell_of_recording();
  folder_.write_skipped_images(loader_.bad_images());
  save("last");
  if (best) save("best");
  if (config_.save_every > 0 && (epoch % config_.save_every == 0 || last)) {
    save(epoch_checkpoint_name(epoch));
  }
  return report;
}

// Weighted kNN of the validation split against the bank, as the released code does after each
// epoch.
void PretrainRun::evaluate(EpochReport& report) {
  if (validation_ == nullptr) return;
  const Features queries = embed(
      trainer_.network(), *validation_,
      {.pipeline = config_.evaluation,
       .batch_size = config_.batch_size,
       .workers = config_.workers,
       .augment_on = config_.augment_on},
      [&](std::int64_t done, std::int64_t total) { observer_.phase_progress("kNN", done, total); });
  const KnnAccuracy accuracy =
      knn_classify(queries.features, queries.labels, trainer_.bank().rows(), labels_of(train_),
                   {.k = std::min<std::int64_t>(config_.knn_k, train_.size()),
                    .taus = {config_.knn_tau},
                    .classes = std::ssize(train_.classes())})
          .front();
  report.knn_top1 = accuracy.top1;
  report.knn_top5 = accuracy.top5;
}

void PretrainRun::measure_purity(EpochReport& report) {
  const std::optional<Purity> purity =
      positive_purity(trainer_.bank(), trainer_.graph(), config_.objective, labels_of(train_));
  if (!purity) return;
  report.positive_purity = purity->positives;
  report.hard_positive_purity = purity->hard_positives;
}

void PretrainRun::save(const std::string& name) {
  const std::filesystem::path path = folder_.checkpoint(name);
  save_checkpoint(path,
                  {.network = trainer_.network(),
                   .optimizer = trainer_.optimizer(),
                   .bank = trainer_.bank().rows(),
                   .neighbors = trainer_.graph().rows(),
                   .position = position_},
                  identity_);
  since_save_.restart();
  observer_.checkpoint_written(path.string());
}

}  // namespace

PretrainResult pretrain(const PretrainConfig& config, const Dataset& train,
                        const Dataset* validation, RunObserver& observer) {
  config.objective.check();
  // Which algorithms a GPU's libraries take is measured: a resumed run must take the same.
  if (config.device != kCpu) set_run_plan_file(config.out / "plans.json");
  CHECK(validation == nullptr || validation->classes() == train.classes(),
        "the validation split has other classes than the training split");
  return PretrainRun(config, train, validation, observer).run();
}

}  // namespace invp
