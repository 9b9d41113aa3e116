#include "invp/method/pretrain_task.h"

#include <algorithm>

#include "engine/core/stop.h"
#include "invp/method/purity.h"
#include "invp/run/bad_of_ranks.h"
#include "invp/run/same_on_ranks.h"
#include "layers/exchange.h"
#include "layers/in_groups.h"

namespace invp {

namespace {

Schedule make_schedule(const PretrainConfig& config) {
  const auto warmed = [&](Schedule base) -> Schedule {
    if (config.warmup_steps > 0)
      return WarmupBySteps{.warmup = config.warmup_steps, .base = std::move(base)};
    if (config.warmup_epochs > 0)
      return WarmupSchedule{.warmup = config.warmup_epochs, .base = std::move(base)};
    return base;
  };
  switch (config.schedule) {
    case ScheduleKind::kCosine: return warmed(CosineSchedule{.epochs = config.epochs});
    case ScheduleKind::kCosineByStep: return warmed(CosineByStepSchedule{.epochs = config.epochs});
    case ScheduleKind::kStep:
      return warmed(StepSchedule{.milestones = config.milestones, .decay = config.lr_decay});
    case ScheduleKind::kConstant: break;
  }
  return warmed(ConstantSchedule{});
}

std::vector<std::int64_t> labels_of(const Dataset& dataset) {
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < dataset.size(); ++i) labels.push_back(dataset.label(i));
  return labels;
}

TensorFile copied(TensorFile file) {
  for (auto& [name, tensor] : file.tensors) tensor = tensor.clone();
  return file;
}

TrainerConfig trainer_config(const PretrainConfig& config, std::int64_t images) {
  return {.network = config.network,
          .objective = config.objective,
          .learning_rate = config.learning_rate,
          .momentum = config.momentum,
          .weight_decay = config.weight_decay,
          .compute_type = config.compute_type,
          .seed = config.seed,
          .groups = config.bn_groups,
          .norms = config.norms,
          .wire = config.wire,
          .spread_bank = spreads_bank(config, images),
          .device = config.device};
}

}  // namespace

PretrainTask::PretrainTask(const PretrainConfig& config, const Dataset& train,
                           const Dataset* validation)
    : config_(config),
      train_(train),
      validation_(validation),
      schedule_(make_schedule(config)),
      trainer_(trainer_config(config, train.size()), train.size(), config.run.ranks.communicator) {}

// Epoch 0's augmentations, which no training epoch uses.
void PretrainTask::prepare(BatchSource& batches, const PhaseProgress& progress) {
  if (config_.bank_start == BankStart::kRandom && !config_.center_head) return;
  const TensorFile before = copied(pytorch_state(trainer_.network()));
  try {
    look_at_all(batches, progress);
  } catch (const Stopped&) {
    // Of the bank, the rows that were filled are filled anew.
    load_pytorch_state(trainer_.network(), before, "[pretrain]");
    throw;
  }
}

void PretrainTask::look_at_all(BatchSource& batches, const PhaseProgress& progress) {
  batches.start_epoch(0, 0);
  std::int64_t done = 0;
  while (const std::optional<Batch> batch = batches.next()) {
    if (config_.center_head && done == 0) trainer_.center_head(*batch);
    if (config_.bank_start == BankStart::kRandom) return;
    trainer_.fill_bank(*batch);
    done += batch->images_of_all();
    progress("bank", done, train_.size());
  }
}

void PretrainTask::step(const Batch& batch, const Progress& progress) {
  trainer_.enqueue(batch, progress.epoch, schedule_(progress));
}

Features PretrainTask::queries_of_rank(const PhaseProgress& progress) {
  const Ranks ranks = trainer_.ranks().ranks();
  return embed(trainer_.network(), *validation_,
               {.pipeline = config_.evaluation,
                .batch_size = config_.batch_size,
                .workers = config_.workers,
                .max_bad_share = ranks.size == 1 ? config_.max_bad_share : 1,
                .may_be_empty = ranks.size > 1,
                .turns = ranks.size,
                .turn = ranks.rank,
                .augment_on = config_.augment_on},
               [&](std::int64_t done, std::int64_t total) { progress("kNN", done, total); });
}

/// Of all ranks: the hits, and the images that could not be read, in the order of the set.
void PretrainTask::add_up(KnnAccuracy& accuracy, Features& queries) {
  Communicator& ranks = trainer_.ranks();
  const Tensor sums = Tensor::from(
      std::vector<std::int64_t>{accuracy.hits1, accuracy.hits5, std::ssize(queries.labels)}, {3});
  ranks.all_reduce("kNN", sums);
  const auto sum = sums.span<std::int64_t>();
  accuracy = {.hits1 = sum[0], .hits5 = sum[1]};
  std::vector<BadOfRank> mine;
  for (std::size_t i = 0; i < queries.bad.size(); ++i)
    mine.emplace_back(queries.bad_indices[i], queries.bad[i]);
  queries.bad = bad_of_evaluation(ranks, mine, config_.max_bad_share, validation_->size());
  CHECK(sum[2] > 0, "no image of ", validation_->kind(), " could be read");
  accuracy.of(sum[2]);
}

/// What all ranks must have alike, by its hash.
void PretrainTask::check_ranks_agree() {
  std::vector<Tensor> all;
  for (const NamedTensor& item : trainer_.network().parameters()) all.push_back(item.tensor);
  if (trainer_.bank().shards() == nullptr) all.push_back(trainer_.bank().rows());
  all.push_back(trainer_.graph().rows());
  check_same_on_ranks(trainer_.ranks(), "weights, bank or graph", all);
}

Evaluation PretrainTask::evaluate(const PhaseProgress& progress) {
  if (validation_ == nullptr) return {};
  share_statistics(trainer_.ranks(), trainer_.network());
  Features queries = queries_of_rank(progress);
  KnnAccuracy accuracy;
  const bool spread = trainer_.bank().shards() != nullptr;
  if (spread && queries.labels.empty())
    queries.features = Tensor::empty({0, trainer_.bank().dim()});
  if (spread || !queries.labels.empty()) {
    accuracy = knn_classify(queries.features, queries.labels, trainer_.bank(), labels_of(train_),
                            {.k = std::min<std::int64_t>(config_.knn_k, train_.size()),
                             .taus = {config_.knn_tau},
                             .classes = std::ssize(train_.classes())})
                   .front();
  }
  if (!trainer_.ranks().alone()) add_up(accuracy, queries);
  return {.measures = {{"knn_top1", accuracy.top1}, {"knn_top5", accuracy.top5}},
          .images = validation_->size(),
          .bad = std::move(queries.bad)};
}

std::vector<Measure> PretrainTask::after_epoch() {
  check_ranks_agree();
  const std::optional<Purity> purity =
      positive_purity(trainer_.bank(), trainer_.graph(), config_.objective, labels_of(train_),
                      kPurityAnchors, &trainer_.ranks());
  if (!purity) return {};
  std::vector<Measure> measures = {{"positive_purity", purity->positives}};
  measures.push_back({"hard_positive_purity", purity->hard_positives});
  return measures;
}

std::string PretrainTask::advice() const {
  const std::string reason = trainer_.why_not_captured();
  return reason.empty() ? "" : "CUDA graphs are off (slower, same results): " + reason;
}

}  // namespace invp
