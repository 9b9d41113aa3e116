#include "invp/protocols/finetune/finetune_task.h"

#include <algorithm>

#include "engine/autograd/node.h"
#include "engine/ops/basic/scale.h"
#include "engine/ops/groups/tree_sum.h"
#include "engine/ops/loss/cross_entropy.h"
#include "invp/run/same_on_ranks.h"
#include "invp/run/shared_batches.h"
#include "layers/exchange.h"

namespace invp {

namespace {

constexpr std::string_view kHead = "fc.";
constexpr std::string_view kModel = "model.";

Sgd make_optimizer(const FinetuneConfig& config, const ResNet& network) {
  Sgd::Group backbone;
  Sgd::Group fc;
  backbone.hyper = {
      .lr = config.learning_rate, .momentum = config.momentum, .weight_decay = config.weight_decay};
  fc.hyper = backbone.hyper;
  fc.hyper.lr = config.fc_learning_rate;
  for (const NamedTensor& item : network.parameters()) {
    Sgd::Group& group = item.name.starts_with(kHead) ? fc : backbone;
    group.parameters.push_back({item.name, item.tensor});
  }
  return Sgd({std::move(backbone), std::move(fc)});
}

/// What a step changes by its gradient.
std::vector<Tensor> learning_of(const FinetuneConfig& config, const ResNet& network) {
  std::vector<Tensor> learning;
  for (const NamedTensor& item : network.parameters()) {
    if (!config.fc_only || item.name.starts_with(kHead)) learning.push_back(item.tensor);
  }
  return learning;
}

}  // namespace

std::vector<Schedule> finetune_rates(const FinetuneConfig& config) {
  const StepSchedule falling{.milestones = config.milestones, .decay = config.lr_decay};
  const auto backbone = [rate = config.learning_rate, falling](const Progress& progress) {
    return rate * falling(progress);
  };
  const auto fc = [rate = config.fc_learning_rate, first = config.fc_first_rate,
                   constant = config.fc_constant, falling](const Progress& progress) {
    if (progress.epoch == 1 && first > 0) return first;
    return constant ? rate : rate * falling(progress);
  };
  return {backbone, fc};
}

FinetuneTask::FinetuneTask(const FinetuneConfig& config, ResNet& network, const Dataset& validation)
    : SgdTask(make_optimizer(config, network), finetune_rates(config), 1, network.device()),
      config_(config),
      network_(network),
      learning_(learning_of(config, network)),
      shared_(shared_norms(config.norms, config.bn_groups, config.run.ranks.communicator)),
      validation_(validation) {
  network_.train(true);
}

GroupedImages FinetuneTask::grouped(const Batch& batch, const std::vector<RowRange>& groups) const {
  GroupedImages grouped{.images = batch.images};
  for (const RowRange& group : groups) grouped.counts.push_back(group.count());
  if (shared_) grouped.seen = shared_->images(images_of_ranks(batch, config_.bn_groups, ranks()));
  return grouped;
}

Tensor FinetuneTask::losses_with_gradients(const Batch& batch, const Progress& /*progress*/) {
  const Device on = device();
  const auto count = std::ssize(batch.labels);
  const Tensor labels = Tensor::from(batch.labels, {count}).to(on);
  const std::vector<RowRange> groups =
      batch.rows(share_of_rank(config_.bn_groups, ranks().ranks()));
  TreeSum sum;
  const auto learn = [&](std::size_t group, const Tensor& features) {
    const auto [first, last] = groups[group];
    if (first == last) return sum.add(Tensor::zeros({1}, DType::kF32, on));
    const Tensor share = Tensor::full(
        {}, static_cast<float>(last - first) / static_cast<float>(batch.images_of_all()), on);
    const Tensor mean = cross_entropy(network_.outputs(features), labels.slice(first, last));
    sum.add(scale(mean.detach(), share).view({1}));
    backward(mean, share);
  };
  learn_in_groups(network_, learning_, !config_.fc_only, shared_, grouped(batch, groups), learn,
                  config_.wire);
  const Tensor loss = sum.total();
  ranks().all_reduce("losses", loss);
  sum_gradients_over_ranks(ranks(), learning_, config_.wire);
  return loss;
}

/// Classifies the validation set in evaluation mode, each rank its batches. What cannot be read.
std::vector<BadImage> FinetuneTask::judge(Accuracy& accuracy, const PhaseProgress& progress) {
  const Ranks here = ranks().ranks();
  BatchFeed feed(validation_, config_.evaluation,
                 {.batch_size = config_.batch_size,
                  .workers = config_.workers,
                  .shuffle = false,
                  .max_bad_share = ranks().alone() ? config_.max_bad_share : 1,
                  .augment_on = config_.augment_on.value_or(best_augment_on(device())),
                  .turns = here.size,
                  .turn = here.rank},
                 device());
  feed.start_epoch(0);
  while (const std::optional<Batch> batch = feed.next()) {
    accuracy.add(network_.forward(batch->images), batch->labels);
    progress("evaluation", std::min(accuracy.images() * here.size, validation_.size()),
             validation_.size());
  }
  accuracy.add_up(ranks());
  return bad_of_evaluation(ranks(), bad_of_feed(feed), config_.max_bad_share, validation_.size());
}

Evaluation FinetuneTask::evaluate(const PhaseProgress& progress) {
  share_statistics(ranks(), network_);
  const NoGrad no_grad;
  network_.train(false);
  Accuracy accuracy(network_.config().dim);
  const std::vector<BadImage> bad = judge(accuracy, progress);
  network_.train(true);
  CHECK(accuracy.images() > 0, "no image of ", validation_.kind(), " could be read to evaluate on");
  return {.measures = {{"top1", accuracy.top1()},
                       {"top5", accuracy.top5()},
                       {"mean_per_class", accuracy.mean_per_class()}},
          .images = validation_.size(),
          .bad = bad};
}

std::vector<Measure> FinetuneTask::after_epoch() {
  check_same_on_ranks(ranks(), "weights", learning_);
  return {};
}

TensorFile FinetuneTask::state() const {
  TensorFile file;
  for (auto& [name, tensor] : pytorch_state(network_).tensors)
    file.tensors.emplace_back(std::string(kModel) + name, tensor);
  return file;
}

void FinetuneTask::load_state(const TensorFile& state, const std::string& origin) {
  load_pytorch_state(network_, with_prefix(state, kModel), origin);
}

}  // namespace invp
