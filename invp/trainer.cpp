#include "invp/trainer.h"

#include <cmath>
#include <vector>

#include "engine/autograd/node.h"
#include "engine/ops/l2_normalize.h"
#include "engine/ops/reduce.h"

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

Tensor row_numbers(std::span<const std::int64_t> indices, Device device) {
  const std::vector<std::int32_t> rows(indices.begin(), indices.end());
  return Tensor::from(rows, {std::ssize(rows)}, device);
}

/// The batch means of a step, read together with a sum over the embeddings: the step's one wait for
/// its device.
StepLosses read_losses(const ObjectiveStep& step) {
  const Tensor report = Tensor::empty({4}, DType::kF32, step.means.device());
  report.slice(0, 3).copy_from(step.means);
  report.slice(3, 4).view({}).copy_from(sum(step.embeddings));
  const Tensor host = report.to(kCpu);
  const std::span<const float> values = host.span<float>();
  if (!std::isfinite(values[3])) throw NotFinite("the network's output is not finite");
  if (!std::isfinite(values[2])) throw NotFinite(message("the loss is ", values[2]));
  return {.loss = values[2], .loss_ins = values[0], .loss_inv = values[1]};
}

}  // namespace

Trainer::Trainer(const TrainerConfig& config, std::int64_t images)
    : config_(config),
      network_(seeded(config.network, config.seed)),
      optimizer_(make_optimizer(network_, config)),
      bank_(images, config.network.dim, config.seed, DType::kF32, config.device),
      graph_(images, config.objective.neighbors, config.device) {
  network_.to(config.device);
  network_.set_compute_type(config.compute_type);
}

StepLosses Trainer::step(const Tensor& images, std::span<const std::int64_t> indices, int epoch,
                         double lr_factor) {
  if (!network_.training()) network_.train(true);
  optimizer_.zero_grad();
  const Tensor embeddings = l2_normalize(network_.forward(images));
  const ObjectiveStep step = search(embeddings, indices, epoch);
  backward(step.loss);
  const StepLosses losses = read_losses(step);  // the device has had all its work before the wait
  optimizer_.step(lr_factor);
  optimizer_.zero_grad();  // the memory is wanted by the next forward pass
  update(step, config_.objective, bank_, graph_);
  return losses;
}

ObjectiveStep Trainer::search(const Tensor& embeddings, std::span<const std::int64_t> indices,
                              int epoch) const {
  try {
    return objective(embeddings, indices, bank_, graph_, config_.objective,
                     config_.objective.invariance_weight(epoch));
  } catch (const Error&) {
    // The search may refuse NaN before the losses show it.
    if (std::isfinite(sum(embeddings.detach()).item())) throw;
    throw NotFinite("the network's output is not finite");
  }
}

void Trainer::fill_bank(const Tensor& images, std::span<const std::int64_t> indices) {
  const NoGrad no_grad;
  bank_.update(row_numbers(indices, config_.device), l2_normalize(network_.forward(images)), 0.0F);
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
