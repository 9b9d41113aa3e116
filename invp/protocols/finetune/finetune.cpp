#include "invp/protocols/finetune/finetune.h"

#include <cmath>

#include "engine/core/error.h"
#include "engine/core/random.h"
#include "invp/protocols/finetune/finetune_task.h"
#include "invp/run/batch_of_one.h"
#include "invp/run/measures.h"
#include "invp/run/version_1.h"
#include "layers/exchange.h"

namespace invp {

namespace {

/// PyTorch's default for linear layers, whatever the initialisation of the backbone.
void initialise_fc(const Linear& fc, std::uint64_t seed) {
  constexpr std::uint64_t kNumber = 1 << 20;  // after those of every network (layers/init.h)
  const double bound = 1 / std::sqrt(static_cast<double>(fc.weight().dim(1)));
  std::uint64_t number = kNumber;
  for (const Tensor& tensor : {fc.weight(), fc.bias()}) {
    Random random(seed, Purpose::kInitialisation, 0, number++);
    for (float& value : tensor.span<float>())
      value = static_cast<float>(random.uniform(-bound, bound));
  }
}

}  // namespace

FinetuneConfig finetune_defaults(FinetuneProtocol protocol) {
  FinetuneConfig config;
  if (protocol == FinetuneProtocol::kTransfer) return config;
  config.protocol = protocol;
  config.epochs = 30;
  config.learning_rate = 0.0012;
  config.fc_learning_rate = 0.06;
  config.milestones = {15, 20, 25};
  config.weight_decay = 1e-5;
  return config;
}

std::vector<ShownMeasure> shown_measures(FinetuneProtocol protocol, const std::string& kind) {
  if (protocol == FinetuneProtocol::kSemi) return known_measures({"top1", "top5"});
  const bool by_class = kind == "pets" || kind == "caltech101" || kind == "flowers102";
  return by_class ? known_measures({"mean_per_class", "top1"})
                  : known_measures({"top1", "mean_per_class"});
}

std::unique_ptr<ResNet> make_classifier(NetworkConfig network, std::int64_t classes,
                                        const TensorFile* weights, const std::string& origin) {
  CHECK(classes >= 2, "[finetune] ", classes, " classes: there is nothing to tell apart");
  network.head = HeadKind::kLinear;
  network.dim = static_cast<int>(classes);
  auto classifier = std::make_unique<ResNet>(network);
  if (weights != nullptr) load_pytorch_backbone(*classifier, *weights, origin);
  initialise_fc(classifier->head().last(), network.seed);
  return classifier;
}

RunResult run_finetune(ResNet& network, const FinetuneConfig& config, const Dataset& train,
                       const Dataset& validation, RunObserver& observer) {
  check_batches(train.size(), config.batch_size,
                config.norms == NormSharing::kLocal ? config.bn_groups : 1,
                last_map(network.config().arch, config.augment.image_size));
  RunConfig run = config.run;
  run.command = "invp finetune";
  run.epochs = config.epochs;
  run.evaluate_every = config.evaluate_every;
  run.shown = shown_measures(config.protocol, train.origin());
  run.best_by = run.shown.front().name;
  run.max_bad_share = config.max_bad_share;
  run.identity.entries.push_back(training_images(train));
  run.identity.version_1["augmentation"] =
      message(version_1_augmentation(config.augment), ", shorter side ",
              config.augment.resize_shorter, ", mean ", config.augment.normalization.mean[0]);
  run.identity.version_1["classes"] = message(network.config().dim);
  ImageSource batches(
      train, config.augment,
      {.batch_size = config.batch_size,
       .workers = config.workers,
       .seed = config.seed,
       .max_bad_share = run.ranks.alone() ? config.max_bad_share : 1,  // counted by run
       .augment_on = config.augment_on.value_or(best_augment_on(config.device)),
       .part = share_of_rank(config.bn_groups, run.ranks.communicator->ranks())},
      config.device);
  FinetuneTask task(config, network, validation);
  return run_task(run, batches, task, observer);
}

}  // namespace invp
