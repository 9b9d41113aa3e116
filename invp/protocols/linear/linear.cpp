#include "invp/protocols/linear/linear.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>

#include "engine/core/hash.h"
#include "invp/method/run_identity.h"
#include "invp/protocols/linear/cached_features.h"
#include "invp/protocols/linear/linear_task.h"
#include "layers/exchange.h"

namespace invp {

namespace {

/// FNV-1a over the elements of the network, which decide what the classifiers see.
std::string fingerprint(const ResNet& network) {
  Hash hash;
  for (const NamedTensor& item : network.state()) {
    const Tensor host = item.tensor.to(kCpu);
    hash.add_bytes(host.raw(), host.nbytes());
  }
  return hash.hex();
}

template <class Enum>
std::string word_for(const std::vector<std::pair<std::string, Enum>>& words, Enum value) {
  return std::ranges::find(words, value, &std::pair<std::string, Enum>::second)->first;
}

RunIdentity identity_of(const ResNet& network, const LinearConfig& config,
                        const std::vector<TapLayer>& layers, const Dataset& train) {
  std::string taps;
  for (const TapLayer& layer : layers)
    taps += (taps.empty() ? "" : ",") + std::to_string(layer.tap);
  std::string milestones;
  for (const int epoch : config.milestones)
    milestones += (milestones.empty() ? "" : ",") + std::to_string(epoch);
  return {{"arch", name_of(network.config().arch)},
          {"width", message(network.config().width)},
          {"network", fingerprint(network)},
          {"taps", taps},
          {"pooling", word_for(all_tap_poolings(), config.pooling)},
          {"init", word_for(all_head_inits(), config.init)},
          {"head-norm", config.norm ? "yes" : "no"},
          {"train-network", config.train_network ? "yes" : "no"},
          {"training images", message(train.size())},
          {"classes", message(train.classes().size())},
          {"epochs", message(config.epochs)},
          {"batch-size", message(config.batch_size)},
          {"lr", message(config.learning_rate)},
          {"milestones", milestones},
          {"lr-decay", message(config.lr_decay)},
          {"momentum", message(config.momentum)},
          {"weight-decay", message(config.weight_decay)},
          {"precision", describe_precision(config.compute_type, network.device())},
          {"augmentation", describe(config.augment)},
          {"seed", message(config.seed)}};
}

/// One a head; of a network that is trained too, its own behind them.
std::vector<Schedule> rates_of(const LinearConfig& config, std::size_t heads) {
  const auto falling =
      [rate = config.learning_rate,
       steps = StepSchedule{.milestones = config.milestones, .decay = config.lr_decay}](int epoch) {
        return rate * steps(epoch);
      };
  if (!config.train_network) return std::vector<Schedule>(heads, falling);
  return {[rate = config.learning_rate](int) { return rate; }, falling};
}

std::vector<ShownMeasure> shown_of(bool multi_label) {
  if (!multi_label)
    return {{.name = "top1", .heading = "top-1"}, {.name = "top5", .heading = "top-5"}};
  return {{.name = "map", .heading = "mAP"}, {.name = "map_11point", .heading = "11-pt"}};
}

LoaderOptions loader_options(const LinearConfig& config, Device device) {
  return {.batch_size = config.batch_size,
          .workers = config.workers,
          .seed = config.seed,
          .max_bad_share = config.max_bad_share,
          .augment_on = config.augment_on.value_or(best_augment_on(device))};
}

void check(const LinearConfig& config, const Dataset& train, const Dataset& validation,
           const std::vector<TapLayer>& layers, const ResNet& network) {
  CHECK(train.presences(0).empty() == validation.presences(0).empty() &&
            train.classes().size() == validation.classes().size(),
        "the training split has ", train.classes().size(), " classes, the validation split ",
        validation.classes().size(), ", or only one of them several labels a picture");
  if (!config.train_network) return;
  CHECK(layers.size() == 1 && layers[0].tap == network.tap_count() && layers[0].grid == 1 &&
            !config.cache_features,
        "a network that is trained too wants a classifier on the global average of its last tap "
        "alone, and no cached features");
}

/// The caches that config asks for, of what can be cached.
struct Caches {
  std::unique_ptr<CachedFeatures> train, validation;

  Caches(ResNet& network, const std::vector<TapLayer>& layers, const LinearConfig& config,
         const Dataset& train_set, const Dataset& validation_set, RunObserver& observer) {
    if (!config.cache_features) return;
    LoaderOptions options = loader_options(config, network.device());
    const auto made = [&](const char* phase, const Dataset& set, const AugmentConfig& augment) {
      return std::make_unique<CachedFeatures>(network, layers, set, augment, options,
                                              [&](std::int64_t done, std::int64_t total) {
                                                observer.phase_progress(phase, done, total);
                                              });
    };
    if (can_cache(config.augment)) train = made("features of train", train_set, config.augment);
    options.shuffle = false;
    if (config.views == TestViews::kOne && can_cache(config.evaluation))
      validation = made("features of val", validation_set, config.evaluation);
    const std::int64_t bytes =
        (train ? train->bytes() : 0) + (validation ? validation->bytes() : 0);
    const char* const what = train && validation ? "both splits"
                             : train             ? "the training split"
                             : validation        ? "the validation split alone: chance cuts the "
                                                   "pictures that are trained on"
                                                 : "neither split: chance cuts their pictures";
    observer.note(message("features kept in memory: of ", what, ", ", bytes >> 20, " MiB"));
  }
};

}  // namespace

LinearResult run_linear(ResNet& network, const LinearConfig& config, const Dataset& train,
                        const Dataset& validation, RunObserver& observer) {
  network.train(false);
  network.set_compute_type(config.compute_type);
  const bool multi_label = !train.presences(0).empty();
  const std::vector<TapLayer> layers =
      tap_layers(network, config.augment.image_size, config.taps, config.pooling);
  check(config, train, validation, layers, network);
  LinearHeads heads(layers, {.outputs = std::ssize(train.classes()),
                             .init = config.init,
                             .norm = config.norm,
                             .seed = config.seed});
  heads.to(network.device());
  LinearTask task(network, heads, config, train, validation);
  SupervisedConfig run = config.run;
  run.epochs = config.epochs;
  run.evaluate_every = config.evaluate_every;
  run.rates = rates_of(config, layers.size());
  run.shown = shown_of(multi_label);
  run.identity = identity_of(network, config, layers, train);

  const Caches caches(network, layers, config, train, validation, observer);
  task.use_cache(caches.train.get(), caches.validation.get());
  std::unique_ptr<ImageSource> images;
  if (!caches.train) {
    images = std::make_unique<ImageSource>(
        train, config.augment, loader_options(config, network.device()), network.device());
  }
  BatchSource& batches = caches.train ? static_cast<BatchSource&>(*caches.train) : *images;
  LinearResult result{
      .run = run_supervised(run, batches, task, observer), .multi_label = multi_label, .taps = {}};
  for (std::size_t k = 0; k < task.scores().size(); ++k)
    result.taps.push_back({.layer = layers[k], .score = task.scores()[k]});
  for (std::size_t k = 1; k < result.taps.size(); ++k) {
    if (result.headline(result.taps[k]) > result.headline(result.taps[result.best]))
      result.best = k;
  }
  return result;
}

}  // namespace invp
