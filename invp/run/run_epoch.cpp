// The end of an epoch: what it came to, its evaluation, its checkpoints.
#include "engine/core/memory.h"
#include "invp/run/run_loop.h"

namespace invp {

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

void Run::advise(const EpochReport& report) {
  DataWait wait = batches_.reading();
  wait.share = report.data_wait;
  data_wait_advice_.note(wait, batches_.wait_seconds(), observer_);
  const std::string advice = advised_ ? "" : task_.advice();
  if (!advice.empty()) observer_.note(advice);
  advised_ = advised_ || !advice.empty();
}

}  // namespace invp
