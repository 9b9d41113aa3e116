#include "invp/method/trainer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/autograd/node.h"
#include "engine/core/hash.h"
#include "engine/ops/basic/cast.h"
#include "engine/ops/basic/l2_normalize.h"
#include "engine/ops/basic/reduce.h"
#include "invp/run/run_metadata.h"
#include "layers/exchange.h"

namespace invp {

namespace {

constexpr const char* kModel = "model.";
constexpr const char* kBank = "bank";
constexpr const char* kNeighbors = "neighbors";

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

Trainer::Trainer(const TrainerConfig& config, std::int64_t images)
    : config_(config),
      network_(seeded(config.network, config.seed)),
      optimizer_(make_optimizer(network_, config)),
      bank_(images, config.network.dim, config.seed, DType::kF32, config.device),
      graph_(images, config.objective.neighbors, config.device),
      settings_(config.device),
      queue_(3, config.device),
      pool_(make_memory_pool(config.device)) {
  network_.to(config.device);
  network_.set_compute_type(config.compute_type);
}

void Trainer::enqueue(const Tensor& images, std::span<const std::int64_t> indices, int epoch,
                      double lr_factor) {
  queue_.begin();
  if (!network_.training()) network_.train(true);
  settings_.set(lr_factor, config_.objective.invariance_weight(epoch));
  Step& step = step_for(images.shape());
  step.indices.copy_from(image_rows(indices, bank_));
  if (config_.device == kCpu) {
    step.images = images.to(kCpu);  // read where it is: nothing is captured
  } else {
    step.images.copy_from(images);
  }
  // The forward pass counts on the host: not when it is replayed, twice when it was called and
  // could not be captured.
  const std::int64_t batches = network_.batches_tracked();
  step.work.run([this, &step] { compute(step); });
  network_.set_batches_tracked(batches + 1);
  if (config_.device == kCpu) step.images = {};
  captured_addresses_ = addresses();
  queue_.end();
}

void Trainer::compute(const Step& step) {
  optimizer_.zero_grad();
  const Tensor embeddings = l2_normalize(network_.forward(step.images));
  ObjectiveStep found;
  try {
    found = objective(embeddings, step.indices, bank_, graph_, config_.objective,
                      settings_.invariance_weight());
  } catch (const Error&) {
    // On a CPU the search refuses NaN before the losses show it.
    if (config_.device != kCpu || std::isfinite(sum(embeddings.detach()).item())) throw;
    const float nan = std::numeric_limits<float>::quiet_NaN();
    return queue_.log(Tensor::full({3}, nan), embeddings);
  }
  backward(found.loss);
  queue_.log(found.means, embeddings);
  optimizer_.step({.lr_factor = settings_.lr_factor(), .halted = queue_.halted()});
  optimizer_.zero_grad();  // so that the next forward pass can use the memory
  update(found, config_.objective, bank_, graph_, queue_.halted());
}

// The objective's means are L_ins, L_inv and the loss.
std::vector<StepLosses> Trainer::finish() {
  std::vector<StepLosses> steps = queue_.finish();
  for (StepLosses& step : steps)
    std::rotate(step.losses.begin(), step.losses.end() - 1, step.losses.end());
  return steps;
}

StepLosses Trainer::step(const Tensor& images, std::span<const std::int64_t> indices, int epoch,
                         double lr_factor) {
  enqueue(images, indices, epoch, lr_factor);
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
Trainer::Step& Trainer::step_for(const Shape& images) {
  if (addresses() != captured_addresses_) steps_.clear();
  const std::vector<std::int64_t> key(images.dims().begin(), images.dims().end());
  const auto found = steps_.find(key);
  if (found != steps_.end()) return found->second;
  const MemoryScope scope(MemoryUse::kData);
  const Device device = config_.device;
  return steps_
      .emplace(key, Step{.images =
                             device == kCpu ? Tensor() : Tensor::empty(images, DType::kF32, device),
                         .indices = Tensor::empty({images[0]}, DType::kI32, device),
                         .work = CapturedWork(pool_)})
      .first->second;
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
