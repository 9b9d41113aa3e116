#include "invp/method/pretrain.h"

#include <map>

#include "engine/core/error.h"
#include "invp/method/pretrain_task.h"
#include "invp/run/batch_of_one.h"
#include "invp/run/measures.h"
#include "invp/run/version_1.h"

namespace invp {

namespace {

LoaderOptions loader_options(const PretrainConfig& config) {
  return {.batch_size = config.batch_size,
          .workers = config.workers,
          .seed = config.seed,
          .max_bad_share = config.run.ranks.alone() ? config.max_bad_share : 1,  // the run counts
          .augment_on = config.augment_on.value_or(best_augment_on(config.device)),
          .decode_on = config.decode_on,
          .part = share_of_rank(config.bn_groups, config.run.ranks.communicator->ranks())};
}

/// The integers that a bank in shards adds have room for sums up to 2^13 (shard_rows.h); rows that
/// were never moved are up to 1.7 long in one place.
void check_weights_fit(const PretrainConfig& config, std::int64_t images) {
  constexpr double kMostWeight = 4096;
  const ObjectiveConfig& objective = config.objective;
  CHECK(!spreads_bank(config, images) ||
            2 * (1 + static_cast<double>(objective.lambda)) / objective.tau <= kMostWeight,
        "--bank sharded needs 2 (1 + lambda) / tau of at most ", kMostWeight,
        ": give --bank replicated, or a smaller --lambda");
}

/// What checkpoints of version 1 hold of a run beside its options.
std::map<std::string, std::string> version_1(const PretrainConfig& config, const Dataset& train) {
  std::map<std::string, std::string> settings = {
      {"training images", message(train.size())},
      {"augmentation",
       version_1_augmentation(config.augment) +
           (config.decode_on == DecodeOn::kDevice ? ", decoded on the device" : "")}};
  if (config.objective.no_invariance) settings["lambda"] = "0";
  return settings;
}

/// Weights times rows are added as integers where the bank is spread, so the last bits differ. Runs
/// of before had all of it on every rank.
IdentityEntry bank_place(const PretrainConfig& config, std::int64_t images) {
  return {.name = "bank",
          .value = spreads_bank(config, images) ? "sharded" : "replicated",
          .otherwise = "replicated"};
}

/// Why a run of more epochs would have had other learning rates from the start.
std::string epochs_fixed_by(ScheduleKind schedule) {
  const bool spread = schedule == ScheduleKind::kCosine || schedule == ScheduleKind::kCosineByStep;
  return spread ? "the cosine schedule spreads over all epochs, so those already trained had other "
                  "learning rates; --schedule step or constant can be continued, this run cannot"
                : "";
}

}  // namespace

bool spreads_bank(const PretrainConfig& config, std::int64_t images) {
  if (config.bank != BankPlace::kAuto) return config.bank == BankPlace::kSharded;
  constexpr std::int64_t kElement = sizeof(float);
  return images * config.network.dim * kElement > kMostReplicatedBank;
}

RunResult pretrain(const PretrainConfig& config, const Dataset& train, const Dataset* validation,
                   RunObserver& observer) {
  config.objective.check();
  check_weights_fit(config, train.size());
  CHECK(validation == nullptr || validation->classes() == train.classes(),
        "the validation split has other classes than the training split");
  check_batches(train.size(), config.batch_size,
                config.norms == NormSharing::kLocal ? config.bn_groups : 1,
                last_map(config.network.arch, config.augment.image_size));
  RunConfig run = config.run;
  run.command = "invp pretrain";
  run.epochs = config.epochs;
  run.evaluate_every = config.knn_every;
  run.best_by = "knn_top1";
  run.max_bad_share = config.max_bad_share;
  run.shown = known_measures(
      {"loss_ins", "loss_inv", "knn_top1", "knn_top5", "positive_purity", "hard_positive_purity"});
  run.identity.entries.push_back(training_images(train));
  run.identity.entries.push_back(bank_place(config, train.size()));
  run.identity.version_1 = version_1(config, train);
  run.identity.epochs_fixed_by = epochs_fixed_by(config.schedule);
  if (config.warmup_epochs == 0 && config.warmup_steps == 0)
    run.on_divergence = "Lower --lr or add --warmup-epochs";
  ImageSource batches(train, config.augment, loader_options(config), config.device);
  PretrainTask task(config, train, validation);
  return run_task(run, batches, task, observer);
}

}  // namespace invp
