#include "tools/options/pretrain_options.h"

#include "engine/core/error.h"
#include "tools/options/network_options.h"
#include "tools/options/objective_options.h"

namespace invp::cli {

void PretrainOptions::declare(Options& options) {
  declare_data(options, data_);
  declare_network(options, config_.network);
  declare_objective(options, config_.objective);
  declare_ramp(options, config_.objective);

  options.group("Training", Decides::kWeights);
  options.integer("epochs", config_.epochs, {1, 1e6}, "passes over the training set").common();
  options.integer("batch-size", config_.batch_size, {2, 65536}, "images per step").common();
  declare_groups(options, config_.bn_groups, config_.norms);
  declare_wire(options, config_.wire);
  options.number("lr", config_.learning_rate, {0, 1000}, "learning rate at the start").common();
  options
      .choice<ScheduleKind>("schedule", config_.schedule,
                            {{"cosine", ScheduleKind::kCosine},
                             {"cosine-by-step", ScheduleKind::kCosineByStep},
                             {"step", ScheduleKind::kStep},
                             {"constant", ScheduleKind::kConstant}},
                            "how the learning rate falls")
      .notes({"along half a cosine, to 0, epoch by epoch", "the same, step by step",
              "by --lr-decay after each of --milestones", "not at all"});
  options.integers("milestones", milestones_, {1, 1e6},
                   "of --schedule step: epochs after which the rate falls");
  options.number("lr-decay", config_.lr_decay, {0, 1, true},
                 "of --schedule step: factor on the rate at each milestone");
  options.integer("warmup-epochs", config_.warmup_epochs, {0, 1e6},
                  "epochs over which the learning rate first rises to --lr");
  options.integer("warmup-steps", config_.warmup_steps, {0, 1e9},
                  "steps over which it first rises to --lr, instead of epochs");
  options.number("momentum", config_.momentum, {0, 1}, "momentum of SGD");
  options.number("weight-decay", config_.weight_decay, {0, 1000},
                 "added to the gradient, times the weight; on all parameters");
  options
      .choice<BankStart>("bank-start", config_.bank_start,
                         {{"random", BankStart::kRandom}, {"features", BankStart::kFeatures}},
                         "the memory bank at the start")
      .notes({"random rows", "embeddings by the untrained network"});
  options.flag("center-head", config_.center_head,
               "start with the last bias at which the outputs have mean zero");
  declare_recompute(options, config_.network.recompute);
  augment_.declare(options);
  declare_augment_on(options, data_);
  declare_decode_on(options, data_);

  // Evaluation says which epoch was best; it changes no weights.
  options.group("Evaluation", Decides::kNothing);
  options.integer("knn-k", config_.knn_k, {1, 1e6},
                  "k of the kNN after an epoch: neighbors that vote");
  options.number("knn-tau", config_.knn_tau, {0, 100, true}, "temperature of the votes")
      .shown_default("--tau");
  options.integer("knn-every", config_.knn_every, {0, 1e6}, "epochs between evaluations; 0: none");

  declare_device(options, device_);
  declare_run(options, run_);
  declare_ranks(options, ranks_, &device_);
  // What it decides is added to the run's identity by pretrain(), with auto resolved.
  options
      .choice<BankPlace>("bank", config_.bank,
                         {{"auto", BankPlace::kAuto},
                          {"replicated", BankPlace::kReplicated},
                          {"sharded", BankPlace::kSharded}},
                         "where the memory bank is")
      .notes({"replicated up to 12 GB, then sharded", "on every rank",
              "its rows spread over the ranks of a machine"});
}

PretrainConfig PretrainOptions::resolve(const Options& options, const JoinedRanks& ranks) {
  if (config_.schedule == ScheduleKind::kStep && milestones_.empty()) {
    throw UsageError(
        "--schedule step needs --milestones N,N: the epochs after which the rate falls");
  }
  if (config_.warmup_epochs > 0 && config_.warmup_steps > 0)
    throw UsageError("--warmup-epochs and --warmup-steps exclude each other");
  config_.milestones.assign(milestones_.begin(), milestones_.end());
  if (!options.given("knn-tau")) config_.knn_tau = config_.objective.tau;
  config_.augment = augment_.resolve(options);
  config_.evaluation = AugmentOptions::evaluation(config_.augment);
  take_share(device_, ranks);
  compute_ = start_compute(device_);
  check_device(ranks, compute_.device);
  check_groups(ranks, config_.bn_groups, config_.batch_size);
  check_wire(config_.wire, config_.norms);
  config_.device = compute_.device;
  config_.compute_type = compute_.type;
  config_.seed = compute_.seed;
  config_.network.seed = compute_.seed;
  config_.workers = worker_count(data_);
  config_.augment_on = augment_on(data_);
  config_.decode_on = decode_on(data_, config_.augment, config_.device);
  apply(run_, options, config_.run);
  config_.run.ranks = run_ranks(ranks);
  config_.max_bad_share = run_.max_bad_share;
  try {
    config_.objective.check();
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
  return config_;
}

}  // namespace invp::cli
