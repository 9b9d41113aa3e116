#include "tools/options/linear_options.h"

#include "data/sets/voc.h"
#include "engine/core/error.h"
#include "tools/options/checkpoint_network.h"

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
  options.group("Network");
  options
      .text("checkpoint", checkpoint_, "FILE",
            "a run's checkpoint, or weights in .safetensors or .pth")
      .required();
  std::vector<std::string> archs = {"auto"};
  for (const auto& [name, arch] : all_archs()) archs.push_back(name);
  options.choice("arch", arch_, archs, "backbone; auto: what the weights say");

  declare_data(options, data_);
  declare_augment_on(options, data_);
  options.choice("voc-train", voc_train_, {"trainval", "train"},
                 "of VOC07, train on trainval and judge by test, or train on train and judge by "
                 "val");

  options.group("Protocol");
  std::vector<std::string> protocols = {"auto"};
  for (const auto& [name, protocol] : all_linear_protocols()) protocols.push_back(name);
  options.choice("protocol", protocol_, protocols,
                 "whose settings to start from; auto: what the data suggest");
  options
      .text("taps", taps_, "LIST",
            "where classifiers sit: all, last, or numbers such as 16,17; 1 is the stem")
      .shown_default(kProtocols);
  options
      .choice<TapPooling>("pooling", config_.pooling, all_tap_poolings(),
                          "what they see of a block: its global average; grids of about 9000 "
                          "values; these but global in the last stage; or the released code's "
                          "stages")
      .shown_default(kProtocols);
  options
      .choice<HeadInit>("head-init", config_.init, all_head_inits(),
                        "first weights: N(0, 0.01), N(0, sqrt(2/classes)), or PyTorch's")
      .shown_default(kProtocols);
  options.flag("head-norm", config_.norm,
               "before each classifier a batch norm whose statistics never change");
  options.flag("train-network", config_.train_network,
               "train the network too, with --taps last --pooling global");
  options
      .choice("augment", augment_,
              {"train-224", "linear-cj", "voc-train", "linear-cifar", "linear-svhn", "none"},
              "how training pictures are varied; none: as in evaluation")
      .shown_default(kProtocols);
  options.integer("image-size", image_size_, {8, 4096}, "pixels a side of what the network sees")
      .shown_default(kProtocols);
  options.choice<TestViews>("views", config_.views,
                            {{"one", TestViews::kOne},
                             {"ten-crop", TestViews::kTenCrops},
                             {"ten-random", TestViews::kTenRandom}},
                            "what is judged of a picture: its centre; ten crops; ten draws of the "
                            "training pipeline");
  options.number("test-flip-prob", test_flip_prob_, kProbability,
                 "share of pictures that are mirrored in evaluation");
  options.flag("cache-features", config_.cache_features,
               "compute features once, where chance does not cut the pictures");

  options.group("Training");
  options.integer("epochs", config_.epochs, {1, 1e6}, "passes over the training set");
  options.integer("batch-size", config_.batch_size, {1, 65536}, "images a step");
  options.number("lr", config_.learning_rate, {0, 1e6}, "learning rate at the start")
      .shown_default(kProtocols);
  options.integers("milestones", milestones_, {1, 1e6}, "epochs after which it falls")
      .shown_default(kProtocols);
  options.number("lr-decay", config_.lr_decay, {0, 1, true}, "factor on it at each of them")
      .shown_default(kProtocols);
  options.number("momentum", config_.momentum, {0, 1}, "of SGD");
  options.number("weight-decay", config_.weight_decay, {0, 1000},
                 "coupled, on all that is trained");
  options.integer("eval-every", config_.evaluate_every, {1, 1e6},
                  "epochs between evaluations; the last is always evaluated");
  declare_device(options, device_);
  declare_run(options, run_);
}

LinearProtocol LinearOptions::fill_in(const Options& options, const ResNet& network) {
  std::string format = resolve_format(data_source(data_));
  if (format == "pack") format = open_train()->origin();
  const LinearProtocol protocol = protocol_named(protocol_, format);
  protocol_ = name_of(protocol);
  const LinearDefaults defaults = linear_defaults(protocol, format);
  if (!options.given("taps")) taps_ = defaults.last_tap_only ? "last" : "all";
  if (!options.given("pooling")) config_.pooling = defaults.config.pooling;
  if (!options.given("head-init")) config_.init = defaults.config.init;
  if (!options.given("augment")) augment_ = defaults.augment;
  if (!options.given("image-size")) image_size_ = defaults.image_size;
  if (!options.given("lr")) config_.learning_rate = defaults.config.learning_rate;
  if (!options.given("lr-decay")) config_.lr_decay = defaults.config.lr_decay;
  if (!options.given("milestones"))
    milestones_.assign(defaults.config.milestones.begin(), defaults.config.milestones.end());
  config_.milestones.assign(milestones_.begin(), milestones_.end());
  config_.taps = parsed_taps(network);
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
      throw UsageError("--taps wants all, last, or numbers such as 16,17, got " + taps_);
    }
    if (tap < 1 || tap > network.tap_count()) {
      throw UsageError(message("--taps ", tap, ": a ", name_of(network.config().arch),
                               " has taps 1, the stem, to ", network.tap_count()));
    }
    taps.push_back(static_cast<int>(tap));
  }
  return taps;
}

LinearConfig LinearOptions::resolve(const Options& options, const ResNet& network) {
  const LinearProtocol protocol = fill_in(options, network);
  if (config_.train_network &&
      (taps_ != "last" || config_.pooling != TapPooling::kGlobal || config_.cache_features)) {
    throw UsageError("--train-network wants --taps last --pooling global and no --cache-features");
  }
  if (config_.views == TestViews::kTenRandom && protocol != LinearProtocol::kVoc07)
    throw UsageError("--views ten-random is of the voc07 protocol; there is ten-crop too");
  config_.augment = linear_pipeline(protocol, augment_, image_size_);
  config_.evaluation = config_.views == TestViews::kTenRandom
                           ? config_.augment
                           : linear_pipeline(protocol, "none", image_size_);
  if (options.given("test-flip-prob")) config_.evaluation.flip_prob = test_flip_prob_;
  compute_ = start_compute(device_);
  config_.compute_type = compute_.type;
  config_.seed = compute_.seed;
  config_.workers = worker_count(data_);
  config_.augment_on = augment_on(data_);
  config_.max_bad_share = run_.max_bad_share;
  config_.run.command = "invp linear";
  apply(run_, config_.run);
  return config_;
}

std::unique_ptr<ResNet> LinearOptions::network() const {
  return load_network({.checkpoint = checkpoint_, .arch = arch_}, false);
}

std::unique_ptr<Dataset> LinearOptions::open_train() const {
  const DataSource source = data_source(data_);
  if (voc_train_ == "train" && resolve_format(source) == "voc") {
    const auto year = find_voc(source.path);
    CHECK(year, source.path.string(), ": no VOC2007 folder with JPEGImages and ImageSets");
    return open_voc(*year, "train");
  }
  return open_dataset(source, "train");
}

std::unique_ptr<Dataset> LinearOptions::open_test() const {
  const DataSource source = data_source(data_);
  if (voc_train_ == "train" && resolve_format(source) == "voc")
    return open_voc(*find_voc(source.path), "val");
  auto validation = open_validation(source);
  CHECK(validation, data_.path, ": has no validation split to judge by");
  return validation;
}

}  // namespace invp::cli
