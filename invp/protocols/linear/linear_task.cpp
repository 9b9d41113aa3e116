#include "invp/protocols/linear/linear_task.h"

#include <algorithm>
#include <utility>

#include "data/sets/ten_crops.h"
#include "engine/autograd/node.h"
#include "engine/ops/basic/reduce.h"
#include "engine/ops/basic/scale.h"
#include "engine/ops/groups/tree_sum.h"
#include "engine/ops/loss/bce_with_logits.h"
#include "engine/ops/loss/cross_entropy.h"
#include "invp/run/bad_of_ranks.h"
#include "invp/run/same_on_ranks.h"
#include "layers/exchange.h"
#include "layers/in_groups.h"

namespace invp {

namespace {

constexpr std::string_view kHeads = "heads.";
constexpr std::string_view kModel = "model.";
constexpr int kRandomViews = 10;

Sgd make_optimizer(const ResNet& network, const LinearHeads& heads, const LinearConfig& config) {
  const SgdHyper hyper{
      .lr = config.learning_rate, .momentum = config.momentum, .weight_decay = config.weight_decay};
  std::vector<Sgd::Group> groups = heads.groups(hyper);
  if (config.train_network) {
    Sgd::Group group{.parameters = {}, .hyper = hyper};
    for (const NamedTensor& item : network.parameters()) {
      if (!item.name.starts_with("fc.")) group.parameters.push_back({item.name, item.tensor});
    }
    groups.push_back(std::move(group));
  }
  return Sgd(std::move(groups));
}

/// One per classifier, or of a network that is trained too, its own after the classifier's.
std::vector<Schedule> rates_of(const LinearConfig& config, std::size_t heads) {
  const auto falling = [rate = config.learning_rate,
                        steps = StepSchedule{.milestones = config.milestones,
                                             .decay = config.lr_decay}](const Progress& progress) {
    return rate * steps(progress);
  };
  if (!config.train_network) return std::vector<Schedule>(heads, falling);
  return {[rate = config.learning_rate](const Progress&) { return rate; }, falling};
}

/// What a step changes.
std::vector<Tensor> learning_of(const ResNet& network, const LinearHeads& heads,
                                const LinearConfig& config) {
  std::vector<Tensor> learning;
  for (const NamedTensor& item : heads.parameters()) learning.push_back(item.tensor);
  if (!config.train_network) return learning;
  for (const NamedTensor& item : network.parameters()) {
    if (!item.name.starts_with("fc.")) learning.push_back(item.tensor);
  }
  return learning;
}

/// Some pictures of a batch as one of their own.
Batch rows_of(const Batch& batch, const RowRange& rows) {
  Batch part;
  if (batch.images.defined()) part.images = batch.images.slice(rows.first, rows.last);
  part.indices.assign(batch.indices.begin() + rows.first, batch.indices.begin() + rows.last);
  part.labels.assign(batch.labels.begin() + rows.first, batch.labels.begin() + rows.last);
  return part;
}

/// The mean over the classifiers, then, of several, each of them.
int losses_of(const LinearHeads& heads) {
  const auto taps = static_cast<int>(heads.layers().size());
  return taps == 1 ? 1 : 1 + taps;
}

float target_of(Presence presence) {
  switch (presence) {
    case Presence::kPresent: return 1;
    case Presence::kAbsent: return 0;
    case Presence::kUnclear: break;
  }
  return kIgnoredTarget;
}

}  // namespace

TapLoss::TapLoss(const Dataset& dataset, const Batch& batch, Device device) : device_(device) {
  const auto count = std::ssize(batch.indices);
  if (dataset.presences(0).empty()) {
    labels_ = Tensor::from(batch.labels, {count}, device);
    return;
  }
  const auto classes = std::ssize(dataset.classes());
  std::vector<float> targets;
  for (const std::int64_t index : batch.indices) {
    for (const Presence presence : dataset.presences(index)) targets.push_back(target_of(presence));
  }
  targets_ = Tensor::from(targets, {count, classes}, device);
  classes_ = static_cast<float>(classes);
}

// The operation of several labels averages over the classes too.
Tensor TapLoss::backward(const Tensor& logits, float share) const {
  const Tensor mean =
      labels_.defined() ? cross_entropy(logits, labels_) : bce_with_logits(logits, targets_);
  const Tensor times = Tensor::full({}, classes_ * share, device_);
  invp::backward(mean, times);
  return scale(mean.detach(), times);
}

LinearTask::LinearTask(ResNet& network, LinearHeads& heads, const LinearConfig& config,
                       const Dataset& train, const Dataset& validation)
    : SgdTask(make_optimizer(network, heads, config), rates_of(config, heads.layers().size()),
              losses_of(heads), network.device()),
      network_(network),
      heads_(heads),
      config_(config),
      learning_(learning_of(network, heads, config)),
      train_(train),
      validation_(validation) {}

void LinearTask::use_cache(const CachedFeatures* train, CachedFeatures* validation) {
  train_cache_ = train;
  validation_cache_ = validation;
}

std::vector<std::string> LinearTask::loss_names() const {
  std::vector<std::string> names = {"loss"};
  if (heads_.layers().size() == 1) return names;
  for (const TapLayer& layer : heads_.layers()) names.push_back(message("loss_tap", layer.tap));
  return names;
}

void LinearTask::each_tap(const Batch& batch, const CachedFeatures* cache, const Visit& visit) {
  if (cache != nullptr) {
    for (std::size_t k = 0; k < heads_.layers().size(); ++k)
      visit(k, cache->features(k, batch).to(device()));
  } else if (config_.train_network) {
    visit(0, network_.features(batch.images));
  } else {
    pooled_taps(network_, batch.images, heads_.layers(), visit);
  }
}

// A tap's classifier is trained as soon as the network has come to it, so that the memory of its
// features is free again before the next block is computed.
Tensor LinearTask::losses_of_group(const Batch& batch, float share) {
  const TapLoss loss(train_, batch, device());
  const Tensor losses = Tensor::empty({std::ssize(heads_.layers())}, DType::kF32, device());
  each_tap(batch, train_cache_, [&](std::size_t k, const Tensor& features) {
    const GradMode record(true);
    const auto row = static_cast<std::int64_t>(k);
    losses.slice(row, row + 1)
        .copy_from(loss.backward(heads_.head(k).forward(features), share).view({1}));
  });
  return losses;
}

Tensor LinearTask::losses_with_gradients(const Batch& batch, const Progress& /*progress*/) {
  const auto taps = std::ssize(heads_.layers());
  const std::vector<RowRange> groups =
      batch.rows(share_of_rank(config_.bn_groups, ranks().ranks()));
  TreeSum sum;
  const auto learn = [&](std::size_t group) {
    const RowRange& rows = groups[group];
    if (rows.count() == 0) return sum.add(Tensor::zeros({taps}, DType::kF32, device()));
    const auto share = static_cast<float>(rows.count()) / static_cast<float>(batch.images_of_all());
    sum.add(losses_of_group(rows_of(batch, rows), share));
  };
  sum_gradients_of_groups(learning_, groups.size(), learn, config_.wire);
  const Tensor of_taps = sum.total();
  ranks().all_reduce("losses", of_taps);
  sum_gradients_over_ranks(ranks(), learning_, config_.wire);
  if (taps == 1) return of_taps;
  const Tensor losses = Tensor::empty({1 + taps}, DType::kF32, device());
  losses.slice(0, 1).copy_from(mean(of_taps).view({1}));
  losses.slice(1, 1 + taps).copy_from(of_taps);
  return losses;
}

Evaluation LinearTask::evaluate(const PhaseProgress& progress) {
  const NoGrad no_grad;
  network_.train(false);  // folds the weights of now, not those of before
  std::vector<TapJudge> judges;
  for (std::size_t k = 0; k < heads_.layers().size(); ++k)
    judges.emplace_back(validation_, config_.views);
  std::vector<BadImage> bad = judge(judges, progress);
  for (TapJudge& tap : judges) tap.add_up(ranks());
  CHECK(std::ssize(bad) < validation_.size(), "no image of ", validation_.kind(),
        " could be read to evaluate on");
  scores_.clear();
  for (const TapJudge& tap : judges) scores_.push_back(tap.score());
  return {.measures = measures_of(heads_.layers(), scores_, !validation_.presences(0).empty()),
          .images = validation_.size(),
          .bad = std::move(bad)};
}

/// The validation features that are kept, each rank its batches.
std::vector<BadImage> LinearTask::judge_cached(const Judge& add) {
  const Ranks here = ranks().ranks();
  validation_cache_->start_epoch(0, 0);
  while (const std::optional<Batch> batch = validation_cache_->next()) {
    if (batch->position % here.size == here.rank) add(*batch, validation_cache_);
  }
  return validation_cache_->bad_images();
}

std::vector<BadImage> LinearTask::judge(std::vector<TapJudge>& judges,
                                        const PhaseProgress& progress) {
  const bool crops = config_.views == TestViews::kTenCrops;
  const int passes = config_.views == TestViews::kTenRandom ? kRandomViews : 1;
  const std::int64_t total = validation_.size() * passes * (crops ? TenCrops::kCrops : 1);
  const Ranks here = ranks().ranks();
  std::int64_t done = 0;
  const Judge add = [&](const Batch& batch, const CachedFeatures* cache) {
    each_tap(batch, cache, [&](std::size_t k, const Tensor& features) {
      judges[k].add(heads_.head(k).forward(features), batch.indices);
    });
    done += std::ssize(batch.indices) * here.size;
    progress("evaluation", std::min(done, total), total);
  };
  if (validation_cache_ != nullptr) return judge_cached(add);
  const AugmentConfig& evaluation = config_.evaluation;
  std::unique_ptr<TenCrops> ten;
  if (crops) {
    const int shorter = std::max(evaluation.resize_shorter, evaluation.image_size);
    ten = std::make_unique<TenCrops>(validation_, shorter, evaluation.image_size);
  }
  const Dataset& shown = crops ? static_cast<const Dataset&>(*ten) : validation_;
  // The crops of a picture stay in one batch.
  const std::int64_t batch_size =
      crops ? std::max<std::int64_t>(1, config_.batch_size / TenCrops::kCrops) * TenCrops::kCrops
            : config_.batch_size;
  BatchFeed feed(shown, evaluation,
                 {.batch_size = batch_size,
                  .workers = config_.workers,
                  .seed = config_.seed,
                  .shuffle = false,
                  .max_bad_share = ranks().alone() ? config_.max_bad_share : 1,
                  .augment_on = config_.augment_on.value_or(best_augment_on(device())),
                  .turns = here.size,
                  .turn = here.rank},
                 device());
  for (int pass = 0; pass < passes; ++pass) {
    feed.start_epoch(pass);
    while (const std::optional<Batch> batch = feed.next()) add(*batch, nullptr);
  }
  std::vector<BadImage> bad =
      bad_of_evaluation(ranks(), bad_of_feed(feed), config_.max_bad_share, shown.size());
  // Each crop of a picture fails.
  const auto same_file = [](const BadImage& a, const BadImage& b) { return a.file == b.file; };
  bad.erase(std::unique(bad.begin(), bad.end(), same_file), bad.end());
  return bad;
}

std::vector<Measure> LinearTask::after_epoch() {
  check_same_on_ranks(ranks(), "weights", learning_);
  return {};
}

TensorFile LinearTask::state() const {
  TensorFile file;
  for (auto& [name, tensor] : heads_.to_file().tensors)
    file.tensors.emplace_back(std::string(kHeads) + name, tensor);
  if (!config_.train_network) return file;
  for (auto& [name, tensor] : pytorch_state(network_).tensors)
    file.tensors.emplace_back(std::string(kModel) + name, tensor);
  return file;
}

void LinearTask::load_state(const TensorFile& state, const std::string& origin) {
  heads_.from_file(with_prefix(state, kHeads), origin);
  if (config_.train_network) load_pytorch_state(network_, with_prefix(state, kModel), origin);
}

std::vector<Measure> measures_of(const std::vector<TapLayer>& layers,
                                 const std::vector<TapScore>& scores, bool multi_label) {
  using Figure = std::pair<const char*, double TapScore::*>;
  const std::vector<Figure> figures =
      multi_label ? std::vector<Figure>{{"map", &TapScore::map},
                                        {"map_envelope", &TapScore::map_envelope},
                                        {"map_11point", &TapScore::map_eleven_point}}
                  : std::vector<Figure>{{"top1", &TapScore::top1}, {"top5", &TapScore::top5}};
  const TapScore& best = *std::ranges::max_element(
      scores, {}, [&](const TapScore& score) { return score.*figures.front().second; });
  std::vector<Measure> measures;
  for (const auto& [name, value] : figures) measures.push_back({name, best.*value});
  if (layers.size() == 1) return measures;
  for (std::size_t k = 0; k < layers.size(); ++k) {
    for (const auto& [name, value] : figures)
      measures.push_back({message(name, "_tap", layers[k].tap), scores[k].*value});
  }
  return measures;
}

}  // namespace invp
