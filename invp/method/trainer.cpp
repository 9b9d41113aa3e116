#include "invp/method/trainer.h"

#include <cmath>
#include <limits>
#include <vector>

#include "engine/autograd/node.h"
#include "engine/core/hash.h"
#include "engine/ops/basic/l2_normalize.h"
#include "engine/ops/basic/reduce.h"
#include "engine/ops/step/log_step.h"

namespace invp {

namespace {

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

}  // namespace

std::string StepLosses::trouble() const {
  if (!std::isfinite(embeddings)) return "the network's output is not finite";
  if (!std::isfinite(loss)) return message("the loss is ", loss);
  return "";
}

Trainer::Trainer(const TrainerConfig& config, std::int64_t images)
    : config_(config),
      network_(seeded(config.network, config.seed)),
      optimizer_(make_optimizer(network_, config)),
      bank_(images, config.network.dim, config.seed, DType::kF32, config.device),
      graph_(images, config.objective.neighbors, config.device),
      settings_(Tensor::zeros({2}, DType::kF32, config.device)),
      losses_(Tensor::zeros({kMostQueued, 4}, DType::kF32, config.device)),
      state_(Tensor::zeros({2}, DType::kI32, config.device)),
      pool_(make_memory_pool(config.device)) {
  network_.to(config.device);
  network_.set_compute_type(config.compute_type);
  for (const NamedTensor& buffer : network_.buffers()) {
    if (buffer.tensor.dtype() == DType::kI64) batch_counters_.push_back(buffer.tensor);
  }
}

void Trainer::enqueue(const Tensor& images, std::span<const std::int64_t> indices, int epoch,
                      double lr_factor) {
  CHECK(queued_ < kMostQueued, "[trainer] ", kMostQueued, " steps are queued: finish() them first");
  if (!network_.training()) network_.train(true);
  while (ends_.size() >= kAhead) {
    ends_.front().wait();
    ends_.pop_front();
  }
  const double weight = config_.objective.invariance_weight(epoch);
  settings_.copy_from(
      Tensor::from(std::vector{static_cast<float>(lr_factor), static_cast<float>(weight)}, {2}));
  Step& step = step_for(images.shape());
  step.indices.copy_from(image_rows(indices, bank_));
  if (config_.device == kCpu) {
    step.images = images.to(kCpu);  // read where it is: nothing is recorded
  } else {
    step.images.copy_from(images);
  }
  std::vector<std::int64_t> counts;
  for (const Tensor& counter : batch_counters_) counts.push_back(*counter.data<std::int64_t>());
  step.work.run([this, &step] { compute(step); });
  // A batch norm's forward pass counts on the host: not when it is replayed, twice when it could
  // not be recorded.
  for (std::size_t i = 0; i < counts.size(); ++i)
    *batch_counters_[i].data<std::int64_t>() = counts[i] + 1;
  if (config_.device == kCpu) step.images = {};
  recorded_addresses_ = addresses();
  ends_.emplace_back(config_.device);
  ++queued_;
}

void Trainer::compute(const Step& step) {
  optimizer_.zero_grad();
  const Tensor embeddings = l2_normalize(network_.forward(step.images));
  const Tensor halted = state_.slice(1, 2);
  ObjectiveStep found;
  try {
    found = objective(embeddings, step.indices, bank_, graph_, config_.objective,
                      settings_.slice(1, 2));
  } catch (const Error&) {
    // On a CPU the search refuses NaN before the losses show it.
    if (config_.device != kCpu || std::isfinite(sum(embeddings.detach()).item())) throw;
    const float nan = std::numeric_limits<float>::quiet_NaN();
    return log_step(Tensor::full({3}, nan), embeddings, losses_, state_);
  }
  backward(found.loss);
  log_step(found.means, embeddings, losses_, state_);
  optimizer_.step({.lr_factor = settings_.slice(0, 1), .halted = halted});
  optimizer_.zero_grad();  // the memory is wanted by the next forward pass
  update(found, config_.objective, bank_, graph_, halted);
}

std::vector<StepLosses> Trainer::finish() {
  const Tensor losses = losses_.slice(0, queued_).to(kCpu);
  std::vector<StepLosses> steps;
  for (int i = 0; i < queued_; ++i) {
    const float* const row = losses.data<float>() + i * 4;
    steps.push_back({.loss = row[2], .loss_ins = row[0], .loss_inv = row[1], .embeddings = row[3]});
  }
  state_.zero();
  queued_ = 0;
  ends_.clear();
  return steps;
}

StepLosses Trainer::step(const Tensor& images, std::span<const std::int64_t> indices, int epoch,
                         double lr_factor) {
  enqueue(images, indices, epoch, lr_factor);
  const StepLosses losses = finish().back();
  if (const std::string trouble = losses.trouble(); !trouble.empty()) throw NotFinite(trouble);
  return losses;
}

std::string Trainer::why_not_recorded() const {
  for (const auto& [shape, step] : steps_) {
    if (!step.work.refusal().empty()) return step.work.refusal();
  }
  return "";
}

/// The recordings hold the addresses of weights, momentum and rounded weights: whoever replaces one
/// of these, loading a checkpoint for instance, makes them void.
Trainer::Step& Trainer::step_for(const Shape& images) {
  if (addresses() != recorded_addresses_) steps_.clear();
  const std::vector<std::int64_t> key(images.dims().begin(), images.dims().end());
  const auto found = steps_.find(key);
  if (found != steps_.end()) return found->second;
  const MemoryScope scope(MemoryUse::kData);
  const Device device = config_.device;
  return steps_
      .emplace(key, Step{.images =
                             device == kCpu ? Tensor() : Tensor::empty(images, DType::kF32, device),
                         .indices = Tensor::empty({images[0]}, DType::kI32, device),
                         .work = RecordedWork(pool_)})
      .first->second;
}

std::uint64_t Trainer::addresses() const {
  if (config_.device == kCpu) return 0;  // where nothing is recorded
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

void Trainer::fill_bank(const Tensor& images, std::span<const std::int64_t> indices) {
  const NoGrad no_grad;
  bank_.update(image_rows(indices, bank_).to(config_.device),
               l2_normalize(network_.forward(images)), 0.0F);
}

void Trainer::center_head(const Tensor& images) {
  const NoGrad no_grad;
  const Tensor outputs = network_.forward(images).to(kCpu);
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
