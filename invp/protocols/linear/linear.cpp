#include "invp/protocols/linear/linear.h"

#include <algorithm>
#include <map>
#include <memory>

#include "engine/core/hash.h"
#include "invp/protocols/linear/cached_features.h"
#include "invp/protocols/linear/linear_task.h"
#include "invp/run/measures.h"
#include "invp/run/version_1.h"
#include "layers/exchange.h"

namespace invp {

namespace {

/// Over the elements of the network, which decide what the classifiers see. `version_1`: as it was
/// when each batch norm counted its batches in a buffer of its own.
std::string fingerprint(const ResNet& network, bool version_1) {
  Hash hash;
  const std::int64_t batches = network.batches_tracked();
  for (const NamedTensor& item : network.state()) {
    const Tensor host = item.tensor.to(kCpu);
    hash.add_bytes(host.raw(), host.nbytes());
    if (version_1 && item.name.ends_with("running_var")) hash.add_bytes(&batches, sizeof batches);
  }
  return hash.hex();
}

/// What checkpoints of version 1 hold of a run beside its options.
std::map<std::string, std::string> version_1(const std::vector<TapLayer>& layers,
                                             const LinearConfig& config, const Dataset& train) {
  std::string taps;
  for (const TapLayer& layer : layers)
    taps += (taps.empty() ? "" : ",") + std::to_string(layer.tap);
  return {{"taps", taps},
          {"training images", message(train.size())},
          {"classes", message(train.classes().size())},
          {"augmentation", version_1_augmentation(config.augment)}};
}

std::vector<ShownMeasure> shown_of(bool multi_label) {
  return multi_label ? known_measures({"map", "map_11point"}) : known_measures({"top1", "top5"});
}

LoaderOptions loader_options(const LinearConfig& config, Device device) {
  return {.batch_size = config.batch_size,
          .workers = config.workers,
          .seed = config.seed,
          .max_bad_share = config.run.ranks.alone() ? config.max_bad_share : 1,  // the run counts
          .augment_on = config.augment_on.value_or(best_augment_on(device)),
          .part = share_of_rank(config.bn_groups, config.run.ranks.communicator->ranks())};
}

void check(const LinearConfig& config, const Dataset& train, const Dataset& validation,
           const std::vector<TapLayer>& layers, const ResNet& network) {
  CHECK(train.presences(0).empty() == validation.presences(0).empty() &&
            train.classes().size() == validation.classes().size(),
        "the training split has ", train.classes().size(), " classes, the validation split ",
        validation.classes().size(), ", or only one of them has several labels per picture");
  if (!config.train_network) return;
  CHECK(layers.size() == 1 && layers[0].tap == network.tap_count() && layers[0].grid == 1 &&
            !config.cache_features,
        "training the network needs one classifier, on the global average of its last tap, and no "
        "cached features");
}

/// The caches that config asks for, of what can be cached.
struct Caches {
  std::unique_ptr<CachedFeatures> train, validation;

  Caches(ResNet& network, const std::vector<TapLayer>& layers, const LinearConfig& config,
         const Dataset& train_set, const Dataset& validation_set, RunObserver& observer) {
    if (!config.cache_features) return;
    const RunRanks& ranks = config.run.ranks;
    ranks.enter("features", 0);
    LoaderOptions options = loader_options(config, network.device());
    options.max_bad_share = config.max_bad_share;
    const auto made = [&](const char* phase, const Dataset& set, const AugmentConfig& augment) {
      const auto told = [&](std::int64_t done, std::int64_t total) {
        ranks.move_on();
        observer.phase_progress(phase, done, total);
      };
      return std::make_unique<CachedFeatures>(network, layers, set, augment, options, told,
                                              ranks.communicator);
    };
    if (can_cache(config.augment)) train = made("features of train", train_set, config.augment);
    options.shuffle = false;
    options.part = {};
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

IdentityEntry network_identity(const ResNet& network) {
  return {.name = "network", .value = fingerprint(network, false), .option = false};
}

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
  RunConfig run = config.run;
  run.command = "invp linear";
  run.epochs = config.epochs;
  run.evaluate_every = config.evaluate_every;
  run.shown = shown_of(multi_label);
  run.best_by = run.shown.front().name;
  run.max_bad_share = config.max_bad_share;
  run.identity.entries.push_back(network_identity(network));
  run.identity.entries.push_back(training_images(train));
  // It comes with the checkpoint's file, which may be another one with the same weights.
  const std::string normalization = described(config.augment.normalization);
  run.identity.entries.push_back({.name = "normalization",
                                  .value = normalization,
                                  .otherwise = normalization,
                                  .option = false});
  run.identity.version_1 = version_1(layers, config, train);
  run.identity.version_1["network"] = fingerprint(network, true);

  const Caches caches(network, layers, config, train, validation, observer);
  task.use_cache(caches.train.get(), caches.validation.get());
  std::unique_ptr<ImageSource> images;
  if (!caches.train) {
    images = std::make_unique<ImageSource>(
        train, config.augment, loader_options(config, network.device()), network.device());
  }
  BatchSource& batches = caches.train ? static_cast<BatchSource&>(*caches.train) : *images;
  LinearResult result{
      .run = run_task(run, batches, task, observer), .multi_label = multi_label, .taps = {}};
  for (std::size_t k = 0; k < task.scores().size(); ++k)
    result.taps.push_back({.layer = layers[k], .score = task.scores()[k]});
  for (std::size_t k = 1; k < result.taps.size(); ++k) {
    if (result.headline(result.taps[k]) > result.headline(result.taps[result.best]))
      result.best = k;
  }
  return result;
}

}  // namespace invp
