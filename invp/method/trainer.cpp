#include "invp/method/trainer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/autograd/node.h"
#include "engine/comm/gather.h"
#include "engine/core/hash.h"
#include "engine/ops/basic/cast.h"
#include "engine/ops/basic/l2_normalize.h"
#include "engine/ops/basic/reduce.h"
#include "engine/ops/basic/scale.h"
#include "engine/ops/groups/tree_sum.h"
#include "invp/run/run_metadata.h"
#include "invp/run/run_ranks.h"
#include "invp/run/shared_batches.h"
#include "layers/exchange.h"

namespace invp {

namespace {

constexpr const char* kModel = "model.";
constexpr const char* kBank = "bank";
constexpr const char* kNeighbors = "neighbors";
constexpr std::int64_t kLosses = 3;  ///< L_ins, L_inv and the loss
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

Sgd make_optimizer(const ResNet& network, const TrainerConfig& config) {
  Sgd::Group group;
  group.hyper = {
      .lr = config.learning_rate, .momentum = config.momentum, .weight_decay = config.weight_decay};
  for (const NamedTensor& item : network.parameters())
    group.parameters.push_back({item.name, item.tensor});
  return Sgd({std::move(group)});
}

NetworkConfig seeded(NetworkConfig network, std::uint64_t seed) {
  network.seed = seed;
  return network;
}

MemoryBank make_bank(const TrainerConfig& config, std::int64_t images, Communicator& ranks) {
  if (config.spread_bank)
    return {images,      config.network.dim, config.seed,
            DType::kF32, config.device,      ranks_of_machine(ranks)};
  return {images, config.network.dim, config.seed, DType::kF32, config.device};
}

/// The most images of a group in this batch, on any rank.
std::int64_t largest_group(const Batch& batch, int groups) {
  const std::int64_t images = std::max(batch.planned, std::ssize(batch.indices));
  return (images + groups - 1) / groups;
}

const Tensor& require(const TensorFile& file, const std::string& name, const Tensor& like,
                      const std::string& origin) {
  const Tensor* const tensor = file.find(name);
  CHECK(tensor != nullptr, origin, ": no tensor '", name, "' in the checkpoint");
  CHECK(tensor->shape() == like.shape() && tensor->dtype() == like.dtype(), origin, ": '", name,
        "' is ", tensor->dtype(), tensor->shape(), ", this run needs ", like.dtype(), like.shape(),
        "; was it trained on another data set or with other options?");
  return *tensor;
}

}  // namespace

void StepSettings::set(double lr_factor, double invariance_weight) const {
  both_.copy_from(Tensor::from(
      std::vector{static_cast<float>(lr_factor), static_cast<float>(invariance_weight)}, {2}));
}

Trainer::Trainer(const TrainerConfig& config, std::int64_t images,
                 std::shared_ptr<Communicator> ranks)
    : config_(config),
      ranks_(std::move(ranks)),
      part_(share_of_rank(config.groups, ranks_->ranks())),
      shared_(shared_norms(config.norms, config.groups, ranks_)),
      network_(seeded(config.network, config.seed)),
      optimizer_(make_optimizer(network_, config)),
      bank_(make_bank(config, images, *ranks_)),
      graph_(images, config.objective.neighbors, config.device),
      settings_(config.device),
      queue_(kLosses, config.device),
      pool_(make_memory_pool(config.device)) {
  network_.to(config.device);
  network_.set_compute_type(config.compute_type);
  for (const NamedTensor& item : network_.parameters()) learning_.push_back(item.tensor);
  if (const BankShards* const shards = bank_.shards(); shards != nullptr) {
    const std::shared_ptr<Communicator> holders = shards->ranks();
    const bool with_first =
        gather_numbers(*holders, "ranks of a machine", ranks_->ranks().rank).front() == 0;
    spread_.emplace(kBank, bank_.rows(), images, holders, with_first);
  }
}

void Trainer::enqueue(const Batch& batch, int epoch, double lr_factor) {
  queue_.begin();
  if (!network_.training()) network_.train(true);
  settings_.set(lr_factor, config_.objective.invariance_weight(epoch));
  Step& step = step_for(batch);
  bank_.expect_queries(largest_group(batch, config_.groups));
  step.indices.copy_from(image_rows(batch.indices, bank_));
  if (config_.device == kCpu && !batch.indices.empty()) {
    step.images = batch.images.to(kCpu);  // read where it is: nothing is captured
  } else if (!batch.indices.empty()) {
    step.images.copy_from(batch.images);
  }
  // The forward pass counts on the host: not when it is replayed, twice when it was called and
  // could not be captured.
  const std::int64_t batches = network_.batches_tracked();
  run(step, batch);
  network_.set_batches_tracked(batches + 1);
  if (config_.device == kCpu) step.images = {};
  captured_addresses_ = addresses();
  queue_.end();
}

/// Ranks record and replay the same steps, or none of them: those whose batch is whole, of which
/// all know the shape.
void Trainer::run(Step& step, const Batch& batch) {
  const auto work = [this, &step] { compute(step); };
  if (ranks_->alone())
    step.work.run(work);
  else if (batch.total == batch.planned)
    step.work.run(work, [this](bool captured) { return all_captured(captured); });
  else
    work();
}

bool Trainer::all_captured(bool mine) {
  const Tensor flag = Tensor::from(std::vector<std::int64_t>{mine ? 1 : 0}, {1});
  ranks_->all_reduce("captured", flag, Reduction::kMin);
  return *flag.data<std::int64_t>() == 1;
}

void Trainer::compute(const Step& step) {
  if (!in_one_group()) return compute_in_groups(step);
  optimizer_.zero_grad();
  const Tensor embeddings = l2_normalize(network_.forward(step.images));
  std::optional<ObjectiveStep> found = find(embeddings, step.indices);
  if (!found) return queue_.log(Tensor::full({kLosses}, kNaN), embeddings);
  backward(found->loss);
  queue_.log(found->means, embeddings);
  optimizer_.step({.lr_factor = settings_.lr_factor(), .halted = queue_.halted()});
  optimizer_.zero_grad();  // so that the next forward pass can use the memory
  update(*found, config_.objective, bank_, graph_, queue_.halted());
}

/// Nothing where the embeddings are not finite: on a CPU the search refuses NaN before the losses
/// show it.
std::optional<ObjectiveStep> Trainer::find(const Tensor& embeddings, const Tensor& indices) {
  try {
    return objective(embeddings, indices, bank_, graph_, config_.objective,
                     settings_.invariance_weight());
  } catch (const Error&) {
    if (config_.device != kCpu || std::isfinite(sum(embeddings.detach()).item())) throw;
    return std::nullopt;
  }
}

/// A rank without an image has rows of the bank that others ask for, in all the calls of an
/// objective with its gradient.
void Trainer::answer_others() {
  Tensor no_image = Tensor::zeros({1, bank_.dim()}, DType::kF32, config_.device);
  find(no_image.set_requires_grad(true), Tensor::zeros({1}, DType::kI32, config_.device));
}

// The same calls for every batch, whichever groups are empty or not finite.
void Trainer::compute_in_groups(const Step& step) {
  optimizer_.zero_grad();
  const std::int64_t rows = step.indices.dim(0);
  const Updates updates{
      .embeddings = Tensor::zeros({rows, bank_.dim()}, DType::kF32, config_.device),
      .neighbors = Tensor::zeros({rows, graph_.neighbors()}, DType::kI32, config_.device)};
  TreeSum sums;
  learn_in_groups(
      network_, learning_, true, shared_, grouped(step.images, step.groups, step.counts),
      [&](std::size_t group, const Tensor& features) {
        sums.add(learn_from_group(step, group, features, updates));
      },
      config_.wire);
  const Tensor losses = sums.total();
  ranks_->all_reduce("losses", losses);
  sum_gradients_over_ranks(*ranks_, learning_, config_.wire);
  queue_.log(losses.slice(0, kLosses), losses.slice(kLosses, kLosses + 1));
  optimizer_.step({.lr_factor = settings_.lr_factor(), .halted = queue_.halted()});
  optimizer_.zero_grad();
  const Tensor indices = gather_rows(*ranks_, "indices", step.indices, step.counts);
  bank_.update(indices, gather_rows(*ranks_, "embeddings", updates.embeddings, step.counts),
               config_.objective.bank_momentum, queue_.halted());
  graph_.update(indices, gather_rows(*ranks_, "neighbors", updates.neighbors, step.counts),
                queue_.halted());
}

GroupedImages Trainer::grouped(const Tensor& images, const std::vector<RowRange>& groups,
                               const std::vector<std::int64_t>& counts) const {
  GroupedImages grouped{.images = images, .seen = shared_ ? shared_->images(counts) : 0};
  for (const RowRange& group : groups) grouped.counts.push_back(group.count());
  return grouped;
}

/// From a group's features forward and back. Its share of the losses, and the sum over its
/// embeddings.
Tensor Trainer::learn_from_group(const Step& step, std::size_t group, const Tensor& features,
                                 const Updates& updates) {
  const Tensor losses = Tensor::zeros({kLosses + 1}, DType::kF32, config_.device);
  const auto [first, last] = step.groups[group];
  if (first == last) {
    if (bank_.shards() != nullptr) answer_others();
    return losses;
  }
  const Tensor embeddings = l2_normalize(network_.outputs(features));
  losses.slice(kLosses, kLosses + 1).copy_from(sum(embeddings.detach()).view({1}));
  std::optional<ObjectiveStep> found = find(embeddings, step.indices.slice(first, last));
  if (!found) return losses;  // of which the sum is not finite
  const Tensor& share = step.shares[group];
  losses.slice(0, kLosses).copy_from(scale(found->means, share));
  updates.embeddings.slice(first, last).copy_from(found->embeddings);
  updates.neighbors.slice(first, last).copy_from(found->new_neighbors);
  backward(found->loss, share);
  return losses;
}

// The losses as kLosses has them.
std::vector<StepLosses> Trainer::finish() {
  std::vector<StepLosses> steps = queue_.finish();
  for (StepLosses& step : steps)
    std::rotate(step.losses.begin(), step.losses.end() - 1, step.losses.end());
  return steps;
}

StepLosses Trainer::step(const Batch& batch, int epoch, double lr_factor) {
  enqueue(batch, epoch, lr_factor);
  const StepLosses losses = finish().back();
  if (const std::string trouble = losses.trouble(); !trouble.empty()) throw NotFinite(trouble);
  return losses;
}

std::string Trainer::why_not_captured() const {
  for (const auto& [shape, step] : steps_) {
    if (!step.work.why_not_captured().empty()) return step.work.why_not_captured();
  }
  return "";
}

/// Captured steps hold the addresses of weights, momentum and rounded weights. Code that replaces
/// one of these, loading a checkpoint for instance, makes them invalid, and they are captured anew.
Trainer::Step& Trainer::step_for(const Batch& batch) {
  if (addresses() != captured_addresses_) steps_.clear();
  const std::vector<RowRange> groups = batch.rows(part_);
  const auto rows = std::ssize(batch.indices);
  const Shape shape = rows == 0 ? Shape{0} : batch.images.shape();
  const std::vector<std::int64_t> counts = images_of_ranks(batch, config_.groups, *ranks_);
  std::vector<std::int64_t> key(shape.dims().begin(), shape.dims().end());
  for (const RowRange& group : groups) key.push_back(group.last);
  key.insert(key.end(), counts.begin(), counts.end());
  key.push_back(largest_group(batch, config_.groups));
  const auto found = steps_.find(key);
  if (found != steps_.end()) return found->second;
  const MemoryScope scope(MemoryUse::kData);
  const Device device = config_.device;
  Step step{.images = device == kCpu ? Tensor() : Tensor::empty(shape, DType::kF32, device),
            .indices = Tensor::empty({rows}, DType::kI32, device),
            .groups = groups,
            .shares = {},
            .counts = counts,
            .work = CapturedWork(pool_)};
  for (const RowRange& group : groups) {
    const double share =
        static_cast<double>(group.count()) / static_cast<double>(batch.images_of_all());
    step.shares.push_back(Tensor::full({}, static_cast<float>(share), device));
  }
  return steps_.emplace(key, std::move(step)).first->second;
}

std::uint64_t Trainer::addresses() const {
  if (config_.device == kCpu) return 0;  // where nothing is captured
  Hash hash;
  const auto add = [&](const Tensor& tensor) {
    hash.add(tensor.defined() ? reinterpret_cast<std::uintptr_t>(tensor.raw()) : 0);
  };
  for (const NamedTensor& item : network_.state()) {
    add(item.tensor);
    add(item.tensor.rounded());
  }
  for (const SgdParameter& item : optimizer_.state()) add(item.tensor);
  add(bank_.rows());
  add(graph_.rows());
  return hash.value();
}

TensorFile Trainer::state() const {
  TensorFile file;
  for (auto& [name, tensor] : pytorch_state(network_).tensors)
    file.tensors.emplace_back(kModel + name, tensor);
  file.tensors.emplace_back(kBank, bank_.rows());
  file.tensors.emplace_back(kNeighbors, graph_.rows());
  return file;
}

namespace {

/// Rows that were moved are of length 1, the others those that the bank began with.
void check_rows(const Tensor& rows, const Tensor& begun, const std::string& origin) {
  constexpr double kRounding = 0.02;  // of bf16, twice
  const Tensor values = cast(rows.to(kCpu), DType::kF32);
  const Tensor first = cast(begun.to(kCpu), DType::kF32);
  const std::int64_t d = rows.dim(1);
  for (std::int64_t i = 0; i < rows.dim(0); ++i) {
    const std::span row =
        values.span<float>().subspan(static_cast<std::size_t>(i * d), static_cast<std::size_t>(d));
    double squares = 0;
    for (const float value : row) squares += static_cast<double>(value) * value;
    if (std::abs(std::sqrt(squares) - 1) <= kRounding) continue;
    CHECK(std::ranges::equal(row, first.span<float>().subspan(static_cast<std::size_t>(i * d),
                                                              static_cast<std::size_t>(d))),
          origin, ": row ", i, " of the bank is of length ", std::sqrt(squares),
          ", not 1; the file is damaged, and has no checksums");
  }
}

}  // namespace

void Trainer::load_state(const TensorFile& state, const std::string& origin) {
  const Tensor& bank = require(state, kBank, bank_.rows(), origin);
  const Tensor& neighbors = require(state, kNeighbors, graph_.rows(), origin);
  if (!state.has_checksums) check_rows(bank, bank_.rows(), origin);
  try {
    graph_.set_rows(neighbors);
  } catch (const Error& error) {
    fail(origin, ": ", error.what(), "; the file is damaged");
  }
  load_pytorch_state(network_, with_prefix(state, kModel), origin);
  bank_.rows().copy_from(bank.to(config_.device));
}

/// The network's outputs for the batches of all ranks (n, d).
Tensor Trainer::outputs_of(const Batch& batch, const std::vector<std::int64_t>& counts) {
  if (in_one_group()) return network_.forward(batch.images);
  const Tensor mine =
      outputs_in_groups(network_, shared_, grouped(batch.images, batch.rows(part_), counts));
  return gather_rows(*ranks_, "outputs", mine, counts);
}

void Trainer::fill_bank(const Batch& batch) {
  const NoGrad no_grad;
  const std::vector<std::int64_t> counts = images_of_ranks(batch, config_.groups, *ranks_);
  const Tensor indices = image_rows(batch.indices, bank_).to(config_.device);
  bank_.update(gather_rows(*ranks_, "indices", indices, counts),
               l2_normalize(outputs_of(batch, counts)), 0.0F);
}

void Trainer::center_head(const Batch& batch) {
  const NoGrad no_grad;
  const Tensor outputs =
      outputs_of(batch, images_of_ranks(batch, config_.groups, *ranks_)).to(kCpu);
  const Tensor& bias = network_.head().last().bias();
  const Tensor centred = bias.to(kCpu).clone();
  for (std::int64_t d = 0; d < outputs.dim(1); ++d) {
    double mean = 0;
    for (std::int64_t i = 0; i < outputs.dim(0); ++i)
      mean += outputs.data<float>()[i * outputs.dim(1) + d];
    centred.data<float>()[d] -= static_cast<float>(mean / static_cast<double>(outputs.dim(0)));
  }
  bias.copy_from(centred.to(bias.device()));
}

}  // namespace invp
