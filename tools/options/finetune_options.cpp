#include "tools/options/finetune_options.h"

#include "engine/core/error.h"
#include "layers/exchange.h"
#include "tools/options/checkpoint_network.h"
#include "tools/options/checkpoint_run.h"
#include "tools/options/network_options.h"

namespace invp::cli {

namespace {

AugmentConfig images_of(FinetuneProtocol protocol, const std::string& kind, Arch arch) {
  const bool small = kind == "cifar10" || kind == "cifar100" || kind == "svhn";
  if (is_cifar(arch)) return augment_preset(kind == "svhn" ? "linear-svhn" : "linear-cifar");
  if (protocol == FinetuneProtocol::kSemi) return augment_preset("train-224");
  AugmentConfig images = augment_preset(kind == "cars" ? "finetune-cars" : "finetune-224");
  if (small) images.normalization = kCifarNormalization;
  return images;
}

}  // namespace

void FinetuneOptions::declare(Options& options) {
  options.main_group("Protocol", Decides::kWeights);
  options
      .choice<FinetuneProtocol>(
          "protocol", config_.protocol,
          {{"semi", FinetuneProtocol::kSemi}, {"transfer", FinetuneProtocol::kTransfer}},
          "what to train on")
      .notes({"a share of the labels of --data", "all of --data"});
  options
      .text("labels", labels_, "1%|10%|FILE",
            "of semi: the share of each class that keeps its labels, drawn by --seed, or a list of "
            "images")
      .shown_default("1%")
      .does_not_decide();  // the images that it comes to are compared
  declare_start(options);
  declare_training(options);
  declare_data(options, data_);
  augment_.declare(options);
  declare_augment_on(options, data_);
  declare_device(options, device_);
  declare_run(options, run_);
  declare_ranks(options, ranks_, &device_);
}

void FinetuneOptions::declare_start(Options& options) {
  // Where the first weights lie does not matter, and once a run is resumed they are its own.
  options.group("Network", Decides::kWeights);
  options
      .text("checkpoint", checkpoint_, "FILE",
            "the network to start from: a run's checkpoint, or weights in .safetensors or .pth")
      .needed()
      .does_not_decide();
  declare_weights_prefix(options, weights_prefix_).does_not_decide();
  options.flag("from-scratch", from_scratch_,
               "start from random weights instead of a checkpoint, as a baseline");
  declare_expected_arch(options, arch_,
                        "backbone; auto: that of the weights, or resnet50 with --from-scratch");
  options.integer("width", width_, {1, 1024},
                  "channels after the first convolution, with --from-scratch");
}

void FinetuneOptions::declare_training(Options& options) {
  options.group("Training", Decides::kWeights);
  options.integer("epochs", config_.epochs, {1, 1e6}, "passes over the training images")
      .shown_default("30 semi, 200 transfer")
      .common();
  options.integer("batch-size", config_.batch_size, {1, 65536}, "images per step").common();
  options.number("lr", config_.learning_rate, {0, 1000}, "learning rate of the backbone")
      .shown_default("0.0012 semi, 0.001 transfer")
      .common();
  options
      .number("fc-lr", config_.fc_learning_rate, {0, 1000}, "learning rate of the new linear layer")
      .shown_default("0.06 semi, 0.005 transfer")
      .common();
  options.number("fc-first-lr", config_.fc_first_rate, {0, 1000},
                 "learning rate of the new layer in the first epoch; 0: --fc-lr");
  options.flag("fc-constant", config_.fc_constant, "the rate of the new layer never falls");
  options.flag("fc-only", config_.fc_only, "train the new layer alone");
  options.integers("milestones", milestones_, {1, 1e6}, "epochs after which the rates fall")
      .shown_default("15,20,25 semi, 120,160 transfer");
  options.number("lr-decay", config_.lr_decay, {0, 1, true},
                 "factor on the rates at each milestone");
  options.number("momentum", config_.momentum, {0, 1}, "momentum of SGD");
  options
      .number("weight-decay", config_.weight_decay, {0, 1000},
              "added to the gradient, times the weight; on all parameters")
      .shown_default("1e-05 semi, 1e-06 transfer");
  declare_groups(options, config_.bn_groups, config_.norms);
  declare_wire(options, config_.wire);
  // Evaluation says which epoch was best; it changes no weights.
  options
      .integer("eval-every", config_.evaluate_every, {1, 1e6},
               "epochs between evaluations; the last epoch is always evaluated")
      .does_not_decide();
  declare_recompute(options, recompute_);
}

void FinetuneOptions::resolve(const Options& options, const JoinedRanks& ranks) {
  const bool semi = config_.protocol == FinetuneProtocol::kSemi;
  if (checkpoint_.empty() && !from_scratch_)
    throw UsageError("--checkpoint FILE is missing: the weights to start from, or --from-scratch");
  if (!checkpoint_.empty() && from_scratch_)
    throw UsageError("--from-scratch starts without weights: leave out --checkpoint");
  if (semi && labels_.empty()) labels_ = "1%";
  if (!semi && !labels_.empty())
    throw UsageError(
        "--labels is for --protocol semi; transfer trains on the whole training split");
  const FinetuneConfig defaults = finetune_defaults(config_.protocol);
  if (!options.given("epochs")) config_.epochs = defaults.epochs;
  if (!options.given("lr")) config_.learning_rate = defaults.learning_rate;
  if (!options.given("fc-lr")) config_.fc_learning_rate = defaults.fc_learning_rate;
  if (!options.given("milestones"))
    milestones_.assign(defaults.milestones.begin(), defaults.milestones.end());
  if (!options.given("weight-decay")) config_.weight_decay = defaults.weight_decay;
  config_.milestones.assign(milestones_.begin(), milestones_.end());
  take_share(device_, ranks);
  compute_ = start_compute(device_);
  check_device(ranks, compute_.device);
  check_groups(ranks, config_.bn_groups, config_.batch_size);
  check_wire(config_.wire, config_.norms);
  config_.run.ranks = run_ranks(ranks);
  config_.device = compute_.device;
  config_.compute_type = compute_.type;
  config_.seed = compute_.seed;
  config_.workers = worker_count(data_);
  config_.augment_on = augment_on(data_);
  config_.max_bad_share = run_.max_bad_share;
}

std::unique_ptr<ResNet> FinetuneOptions::network(std::int64_t classes) {
  NetworkConfig start{.width = width_};
  std::optional<TensorFile> weights;
  if (from_scratch_) {
    for (const auto& [name, arch] : all_archs()) {
      if (name == arch_) start.arch = arch;
    }
  } else {
    NetworkWeights loaded = load_weights_of(
        {.checkpoint = checkpoint_, .weights_prefix = weights_prefix_, .arch = arch_}, false);
    start = loaded.config;
    weights = std::move(loaded.tensors);
  }
  arch_ = name_of(start.arch);
  width_ = start.width;
  start.seed = compute_.seed;
  start.recompute = recompute_;
  auto network = make_classifier(start, classes, weights ? &*weights : nullptr, checkpoint_);
  network->set_compute_type(compute_.type);
  network->to(compute_.device);
  return network;
}

void FinetuneOptions::resolve_images(const Options& options, const Dataset& train,
                                     const ResNet& network) {
  if (augment_.preset() == "auto") {
    AugmentConfig images = images_of(config_.protocol, train.origin(), network.config().arch);
    // The size and the normalization that the network knows.
    const CheckpointRun run = from_scratch_ ? CheckpointRun{} : read_checkpoint_run(checkpoint_);
    if (run.image_size) images = AugmentOptions::resized(images, *run.image_size);
    images.normalization = run.normalization.value_or(images.normalization);
    config_.augment = augment_.resolve(options, images);
  } else {
    config_.augment = augment_.resolve(options);
  }
  config_.evaluation = AugmentOptions::evaluation(config_.augment);
  apply(run_, options, config_.run);
}

}  // namespace invp::cli
