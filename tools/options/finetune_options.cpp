#include "tools/options/finetune_options.h"

#include "engine/core/error.h"
#include "invp/run/checkpoint.h"
#include "layers/exchange.h"
#include "tools/options/network_options.h"

namespace invp::cli {

namespace {

bool is_cifar_form(Arch arch) {
  return arch == Arch::kResNet18Cifar || arch == Arch::kResNet50Cifar;
}

AugmentConfig images_of(FinetuneProtocol protocol, const std::string& kind, Arch arch) {
  const bool small = kind == "cifar10" || kind == "cifar100" || kind == "svhn";
  if (is_cifar_form(arch)) return augment_preset(kind == "svhn" ? "linear-svhn" : "linear-cifar");
  if (protocol == FinetuneProtocol::kSemi) return augment_preset("train-224");
  AugmentConfig images = augment_preset(kind == "cars" ? "finetune-cars" : "finetune-224");
  if (small) images.normalization = kCifarNormalization;
  return images;
}

}  // namespace

void FinetuneOptions::declare(Options& options) {
  options.group("Protocol");
  options.choice<FinetuneProtocol>(
      "protocol", config_.protocol,
      {{"semi", FinetuneProtocol::kSemi}, {"transfer", FinetuneProtocol::kTransfer}},
      "a share of the labels, or another data set");
  options
      .text("labels", labels_, "1%|10%|FILE",
            "of semi: the share of each class that is drawn by the seed, or a list of images")
      .shown_default("1%");

  options.group("Network");
  options.text("checkpoint", checkpoint_, "FILE",
               "a run's checkpoint, or weights in .safetensors or .pth, to start from");
  options.flag("from-scratch", from_scratch_, "start from random weights: the baseline");
  std::vector<std::string> archs = {"auto"};
  for (const auto& [name, arch] : all_archs()) archs.push_back(name);
  options.choice("arch", arch_, archs,
                 "backbone; auto: what the weights say, from scratch resnet50");
  options.integer("width", width_, {1, 1024}, "channels after the stem, from scratch");

  options.group("Training");
  options.integer("epochs", config_.epochs, {1, 1e6}, "passes over the training images")
      .shown_default("30 semi, 200 transfer");
  options.integer("batch-size", config_.batch_size, {1, 65536}, "images a step");
  options.number("lr", config_.learning_rate, {0, 1000}, "learning rate of the backbone")
      .shown_default("0.0012 semi, 0.001 transfer");
  options.number("fc-lr", config_.fc_learning_rate, {0, 1000}, "of the new linear layer")
      .shown_default("0.06 semi, 0.005 transfer");
  options.number("fc-first-lr", config_.fc_first_rate, {0, 1000},
                 "of the new layer in the first epoch; 0: no other");
  options.flag("fc-constant", config_.fc_constant, "the new layer's rate never falls");
  options.flag("fc-only", config_.fc_only, "train the new layer alone");
  options.integers("milestones", milestones_, {1, 1e6}, "epochs after which the rates fall")
      .shown_default("15,20,25 semi, 120,160 transfer");
  options.number("lr-decay", config_.lr_decay, {0, 1, true}, "factor on the rates then");
  options.number("momentum", config_.momentum, {0, 1}, "of SGD");
  options.number("weight-decay", config_.weight_decay, {0, 1000}, "coupled, on all parameters")
      .shown_default("1e-05 semi, 1e-06 transfer");
  options.integer("bn-groups", config_.bn_groups, {1, 1024},
                  "parts of a batch that batch norms see by themselves");
  options.integer("eval-every", evaluate_every_, {1, 1e6},
                  "epochs between evaluations; the last epoch always is");
  declare_recompute(options, recompute_);
  declare_data(options, data_);
  augment_.declare(options);
  declare_augment_on(options, data_);
  declare_device(options, device_);
  declare_run(options, run_);
}

void FinetuneOptions::resolve(const Options& options) {
  const bool semi = config_.protocol == FinetuneProtocol::kSemi;
  if (checkpoint_.empty() && !from_scratch_)
    throw UsageError("--checkpoint FILE is missing: the weights to start from, or --from-scratch");
  if (!checkpoint_.empty() && from_scratch_)
    throw UsageError("--from-scratch starts without weights: leave --checkpoint away");
  if (semi && labels_.empty()) labels_ = "1%";
  if (!semi && !labels_.empty())
    throw UsageError("--labels is of --protocol semi; transfer trains on the whole training split");
  const FinetuneConfig defaults = finetune_defaults(config_.protocol);
  if (!options.given("epochs")) config_.epochs = defaults.epochs;
  if (!options.given("lr")) config_.learning_rate = defaults.learning_rate;
  if (!options.given("fc-lr")) config_.fc_learning_rate = defaults.fc_learning_rate;
  if (!options.given("milestones"))
    milestones_.assign(defaults.milestones.begin(), defaults.milestones.end());
  if (!options.given("weight-decay")) config_.weight_decay = defaults.weight_decay;
  config_.milestones.assign(milestones_.begin(), milestones_.end());
  compute_ = start_compute(device_);
  config_.device = compute_.device;
  config_.compute_type = compute_.type;
  config_.seed = compute_.seed;
  config_.workers = worker_count(data_);
  config_.augment_on = augment_on(data_);
}

std::unique_ptr<ResNet> FinetuneOptions::network(std::int64_t classes) {
  NetworkConfig start{.width = width_};
  std::optional<TensorFile> weights;
  if (from_scratch_) {
    for (const auto& [name, arch] : all_archs()) {
      if (name == arch_) start.arch = arch;
    }
  } else {
    weights = load_network_weights(checkpoint_);
    start = recognise_network(*weights, checkpoint_);
    CHECK(arch_ == "auto" || arch_ == name_of(start.arch), checkpoint_, ": the weights of a ",
          name_of(start.arch), ", not of a ", arch_, "; leave --arch away");
  }
  start.seed = compute_.seed;
  start.recompute = recompute_;
  auto network = make_classifier(start, classes, weights ? &*weights : nullptr, checkpoint_);
  network->set_compute_type(compute_.type);
  network->to(compute_.device);
  return network;
}

void FinetuneOptions::resolve_images(const Options& options, const Dataset& train,
                                     const ResNet& network) {
  config_.augment = augment_.preset() == "auto"
                        ? augment_.resolve(options, images_of(config_.protocol, train.origin(),
                                                              network.config().arch))
                        : augment_.resolve(options);
  config_.evaluation = AugmentOptions::evaluation(config_.augment);
}

}  // namespace invp::cli
