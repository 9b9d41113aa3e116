#include "tools/options/linear_options.h"

#include "data/sets/splits.h"
#include "data/sets/voc.h"
#include "engine/core/error.h"
#include "tools/options/augment_options.h"
#include "tools/options/checkpoint_network.h"
#include "tools/options/network_options.h"

namespace invp::cli {

namespace {

constexpr const char* kProtocols = "the protocol's";

LinearProtocol protocol_named(const std::string& name, const std::string& format) {
  for (const auto& [word, protocol] : all_linear_protocols()) {
    if (word == name) return protocol;
  }
  return linear_protocol_for(format);
}

std::string name_of(LinearProtocol wanted) {
  for (const auto& [name, protocol] : all_linear_protocols()) {
    if (protocol == wanted) return name;
  }
  return {};
}

}  // namespace

void LinearOptions::declare(Options& options) {
  // A run compares the network's weights themselves, not the name of their file. --arch only checks
  // them.
  options.group("Network", Decides::kNothing);
  options
      .text("checkpoint", checkpoint_, "FILE",
            "the network: a run's checkpoint, or weights in .safetensors or .pth")
      .required();
  declare_weights_prefix(options, weights_prefix_);
  declare_expected_arch(options, arch_, "expected backbone; auto: that of the weights");

  declare_data(options, data_);
  options.main_group("Protocol", Decides::kWeights);
  declare_protocol(options);
  declare_images(options);
  declare_augment_on(options, data_);
  declare_training(options);
  declare_device(options, device_);
  declare_run(options, run_);
  declare_ranks(options, ranks_, &device_);
}

void LinearOptions::declare_protocol(Options& options) {
  std::vector<std::string> protocols = {"auto"};
  for (const auto& [name, protocol] : all_linear_protocols()) protocols.push_back(name);
  options.choice("protocol", protocol_, protocols,
                 "whose settings are the defaults; auto: chosen by the data set");
  options
      .text("taps", taps_, "LIST",
            "blocks that get a classifier: all, last, or numbers such as 16,17; 1 is the first "
            "convolution")
      .shown_default(kProtocols);
  options
      .choice<TapPooling>("pooling", config_.pooling, all_tap_poolings(),
                          "what a classifier sees of a block's output")
      .notes({"its average over the image", "averages over a grid, about 9000 values",
              "the same; of the last stage its average over the image",
              "grids of 8, 6, 4, 3, 7 cells a side from the first convolution to the last stage "
              "(second script of the released code)"})
      .shown_default(kProtocols);
  options
      .choice<HeadInit>("head-init", config_.init, all_head_inits(),
                        "first weights of a classifier")
      .notes({"normal, deviation 0.01", "normal, deviation sqrt(2 / classes)", "PyTorch's"})
      .shown_default(kProtocols);
  options.flag("head-norm", config_.norm,
               "normalize a classifier's input by the running statistics of a batch norm");
  options.flag("train-network", config_.train_network,
               "train the network too; needs --taps last --pooling global");
}

void LinearOptions::declare_images(Options& options) {
  options.group("Images", Decides::kWeights);
  options
      .choice("augment", augment_,
              {"train-224", "linear-cj", "voc-train", "linear-cifar", "linear-svhn", "none"},
              "how training varies the images")
      .notes({"crop, mirror", "crop, mirror, jitter, gray", "crop of at least a fifth, mirror",
              "mirror", "jitter, gray", "as in evaluation"})
      .shown_default(kProtocols);
  options
      .integer("image-size", image_size_, {8, 4096},
               "height and width of the network's input, in pixels")
      .shown_default("that of the run that wrote the checkpoint; of other files the protocol's");
  options.choice("voc-train", voc_train_, {"trainval", "train"}, "of VOC07: the split to train on")
      .notes({"evaluate on test", "evaluate on val"});
  // Evaluation says which epoch was best; it changes no weights.
  options
      .choice<TestViews>("views", config_.views,
                         {{"one", TestViews::kOne},
                          {"ten-crop", TestViews::kTenCrops},
                          {"ten-random", TestViews::kTenRandom}},
                         "what evaluation sees of an image")
      .notes({"its center", "ten crops", "ten draws of the training pipeline (voc07 only)"})
      .does_not_decide();
  options
      .number("test-flip-prob", test_flip_prob_, kProbability,
              "share of images that are mirrored in evaluation")
      .does_not_decide();
  // Features from other batches differ in the last bits.
  options.flag("cache-features", config_.cache_features,
               "compute features once, if training only mirrors the images");
}

void LinearOptions::declare_training(Options& options) {
  options.group("Training", Decides::kWeights);
  options.integer("epochs", config_.epochs, {1, 1e6}, "passes over the training set").common();
  options.integer("batch-size", config_.batch_size, {1, 65536}, "images per step").common();
  options.integer("bn-groups", config_.bn_groups, {1, 1024},
                  "parts of a batch whose gradients are added in a fixed order, so that ranks can "
                  "share them; no batch norm is trained here");
  declare_wire(options, config_.wire);
  options.number("lr", config_.learning_rate, {0, 1e6}, "learning rate at the start")
      .shown_default(kProtocols)
      .common();
  options.integers("milestones", milestones_, {1, 1e6}, "epochs after which the rate falls")
      .shown_default(kProtocols);
  options.number("lr-decay", config_.lr_decay, {0, 1, true}, "factor on the rate at each milestone")
      .shown_default(kProtocols);
  options.number("momentum", config_.momentum, {0, 1}, "momentum of SGD");
  options.number("weight-decay", config_.weight_decay, {0, 1000},
                 "added to the gradient, times the weight; on all that is trained");
  // Evaluation says which epoch was best; it changes no weights.
  options
      .integer("eval-every", config_.evaluate_every, {1, 1e6},
               "epochs between evaluations; the last epoch is always evaluated")
      .does_not_decide();
}

LinearProtocol LinearOptions::fill_in(const Options& options) {
  checkpoint_run_ = read_checkpoint_run(checkpoint_);
  std::string format = resolve_format(data_source(data_));
  if (format == "pack") format = open_train()->origin();
  const LinearProtocol protocol = protocol_named(protocol_, format);
  protocol_ = name_of(protocol);
  const LinearDefaults defaults = linear_defaults(protocol, format);
  if (!options.given("taps")) taps_ = defaults.last_tap_only ? "last" : "all";
  if (!options.given("pooling")) config_.pooling = defaults.config.pooling;
  if (!options.given("head-init")) config_.init = defaults.config.init;
  if (!options.given("augment")) augment_ = defaults.augment;
  if (!options.given("image-size"))
    image_size_ = checkpoint_run_.image_size.value_or(defaults.image_size);
  if (!options.given("lr")) config_.learning_rate = defaults.config.learning_rate;
  if (!options.given("lr-decay")) config_.lr_decay = defaults.config.lr_decay;
  if (!options.given("milestones"))
    milestones_.assign(defaults.config.milestones.begin(), defaults.config.milestones.end());
  config_.milestones.assign(milestones_.begin(), milestones_.end());
  return protocol;
}

std::vector<int> LinearOptions::parsed_taps(const ResNet& network) const {
  if (taps_ == "all") return {};
  if (taps_ == "last") return {network.tap_count()};
  std::vector<int> taps;
  for (const std::string& word : split(taps_, ',')) {
    std::int64_t tap = 0;
    try {
      tap = parse_integer(word);
    } catch (const UsageError&) {
      throw UsageError("--taps must be all, last, or numbers such as 16,17, got " + taps_);
    }
    if (tap < 1 || tap > network.tap_count()) {
      throw UsageError(message("--taps ", tap, ": a ", name_of(network.config().arch),
                               " has taps 1, the stem, to ", network.tap_count()));
    }
    taps.push_back(static_cast<int>(tap));
  }
  return taps;
}

/// The protocol's, normalized and, where its size is that of the checkpoint's run, framed as that
/// run was evaluated.
AugmentConfig LinearOptions::pipeline(LinearProtocol protocol, const std::string& name) const {
  AugmentConfig config = linear_pipeline(protocol, name, image_size_);
  const AugmentConfig usual = config;
  checkpoint_run_.apply(config);
  config.image_size = image_size_;
  const bool cut = config.framing != Framing::kRandomResizedCrop;
  const bool same_size =
      checkpoint_run_.resize_shorter && image_size_ == checkpoint_run_.image_size;
  config.resize_shorter =
      cut && same_size ? AugmentOptions::evaluation(config).resize_shorter : usual.resize_shorter;
  return config;
}

std::string LinearOptions::images() const {
  const bool known = checkpoint_run_.image_size == image_size_;
  return described_images(config_.evaluation) + (known ? ", as its run had them" : "");
}

void LinearOptions::resolve(const Options& options, const JoinedRanks& ranks) {
  const LinearProtocol protocol = fill_in(options);
  if (config_.train_network &&
      (taps_ != "last" || config_.pooling != TapPooling::kGlobal || config_.cache_features)) {
    throw UsageError(
        "--train-network needs --taps last --pooling global, without --cache-features");
  }
  if (config_.views == TestViews::kTenRandom && protocol != LinearProtocol::kVoc07)
    throw UsageError("--views ten-random is for --protocol voc07; --views ten-crop is for all");
  config_.augment = pipeline(protocol, augment_);
  config_.evaluation =
      config_.views == TestViews::kTenRandom ? config_.augment : pipeline(protocol, "none");
  if (options.given("test-flip-prob")) config_.evaluation.flip_prob = test_flip_prob_;
  take_share(device_, ranks);
  compute_ = start_compute(device_);
  check_device(ranks, compute_.device);
  check_groups(ranks, config_.bn_groups, config_.batch_size);
  config_.compute_type = compute_.type;
  config_.seed = compute_.seed;
  config_.workers = worker_count(data_);
  config_.augment_on = augment_on(data_);
  config_.max_bad_share = run_.max_bad_share;
  apply(run_, options, config_.run);
  config_.run.ranks = run_ranks(ranks);
}

std::unique_ptr<ResNet> LinearOptions::network() {
  auto network = load_network(
      {.checkpoint = checkpoint_, .weights_prefix = weights_prefix_, .arch = arch_}, false);
  config_.taps = parsed_taps(*network);
  network->to(compute_.device);
  return network;
}

std::unique_ptr<Dataset> LinearOptions::open_voc_part(const char* split) const {
  const DataSource source = resolve_source(data_source(data_));
  if (voc_train_ != "train" || source.format != "voc") return nullptr;
  const auto part = find_voc_part(source.path, split);
  CHECK(part, source.path.string(), ": no VOC2007 folder with ImageSets/Main/", split, ".txt");
  return open_voc(part->year, part->split);
}

std::unique_ptr<Dataset> LinearOptions::open_train() const {
  auto part = open_voc_part("train");
  return part ? std::move(part) : open_labeled_train(data_source(data_));
}

std::unique_ptr<Dataset> LinearOptions::open_test(const Dataset& train) const {
  auto part = open_voc_part("val");
  return part ? std::move(part) : open_labeled_validation(data_source(data_), train);
}

}  // namespace invp::cli
