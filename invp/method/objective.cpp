#include "invp/method/objective.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/autograd/node.h"
#include "engine/ops/basic/scale.h"

namespace invp {

namespace {

/// d(loss)/dv (contrast.h): a sum over the bank rows that took part, never over the whole bank.
Tensor gradient(const ContrastInputs& inputs, const Contrast& result, const Tensor& v,
                const MemoryBank& bank) {
  const Tensor dv = Tensor::zeros(v.shape(), DType::kF32, v.device());
  const Tensor self = inputs.indices.view({inputs.indices.dim(0), 1});
  bank.add_weighted(dv, inputs.background.rows, result.background_weights);
  bank.add_weighted(dv, inputs.hard, result.hard_weights);
  bank.add_weighted(dv, self, result.self_weights);
  return dv;
}

}  // namespace

void ObjectiveConfig::check() const {
  CHECK(tau >= 0.01F && std::isfinite(tau), "tau must be at least 0.01, got ", tau);
  CHECK(bank_momentum >= 0 && bank_momentum <= 1, "bank-momentum must lie in [0, 1], got ",
        bank_momentum);
  CHECK(neighbors >= 1, "neighbors must be at least 1, got ", neighbors);
  CHECK(steps >= 1, "steps must be at least 1, got ", steps);
  CHECK(hard_positives >= 1, "hard-positives must be at least 1, got ", hard_positives);
  CHECK(background > neighbors, "background must be greater than neighbors (", neighbors, "), got ",
        background);
  CHECK(lambda >= 0 && std::isfinite(lambda), "lambda must not be negative, got ", lambda);
  CHECK(warm_epochs >= 0, "warm-epochs must not be negative, got ", warm_epochs);
}

double ObjectiveConfig::invariance_weight(int epoch) const {
  if (no_invariance) return 0;
  switch (ramp) {
    case Ramp::kBinary: return epoch > warm_epochs ? lambda : 0;
    case Ramp::kNone: return lambda;
    case Ramp::kGaussian: break;
  }
  if (epoch >= warm_epochs) return lambda;
  const double missing = 1 - static_cast<double>(epoch) / warm_epochs;
  return lambda * std::exp(-5 * missing * missing);
}

Positives discover_positives(const Tensor& queries, const Tensor& images, const MemoryBank& bank,
                             const NeighborGraph& graph, const ObjectiveConfig& config) {
  const Propagation propagation =
      config.form == ContrastForm::kPaper ? Propagation::kDistinct : Propagation::kRepeated;
  const Tensor all = graph.reached_from(images, config.steps, propagation);
  return {all, choose_positives(all, bank.similarities(queries, all), config.hard_positives,
                                config.positives)};
}

Tensor image_rows(std::span<const std::int64_t> indices, const MemoryBank& bank) {
  std::vector<std::int32_t> rows;
  rows.reserve(indices.size());
  for (const std::int64_t index : indices) {
    CHECK(index >= 0 && index < bank.size(), "[objective] image ", index, " of a bank of ",
          bank.size());
    rows.push_back(static_cast<std::int32_t>(index));
  }
  return Tensor::from(rows, {std::ssize(rows)});
}

ObjectiveStep objective(const Tensor& embeddings, std::span<const std::int64_t> indices,
                        const MemoryBank& bank, const NeighborGraph& graph,
                        const ObjectiveConfig& config, double weight) {
  const Device device = bank.device();
  return objective(embeddings, image_rows(indices, bank).to(device), bank, graph, config,
                   Tensor::full({}, static_cast<float>(weight), device));
}

ObjectiveStep objective(const Tensor& embeddings, const Tensor& rows, const MemoryBank& bank,
                        const NeighborGraph& graph, const ObjectiveConfig& config,
                        const Tensor& weight) {
  config.check();
  CHECK(embeddings.rank() == 2 && embeddings.dim(1) == bank.dim() && embeddings.dim(0) >= 1 &&
            embeddings.dim(0) == rows.dim(0),
        "[objective] embeddings ", embeddings.shape(), " do not fit indices ", rows.shape(),
        " and a bank of ", bank.size(), " images, ", bank.dim(), " values each");
  CHECK(graph.size() == bank.size() && graph.neighbors() == config.neighbors,
        "[objective] a graph of ", graph.size(), " images with ", graph.neighbors(),
        " neighbors does not fit a bank of ", bank.size(), " images with ", config.neighbors,
        " neighbors");

  const Tensor v = embeddings.detach();
  const Tensor none = Tensor::empty({rows.dim(0), 0}, DType::kI32, rows.device());
  const Positives positives = config.no_invariance
                                  ? Positives{none, none}
                                  : discover_positives(v, rows, bank, graph, config);
  const ContrastInputs inputs{.background = bank.search(v, config.background),
                              .indices = rows,
                              .self = bank.similarities(v, rows.view({rows.dim(0), 1})),
                              .positives = positives.all,
                              .hard = positives.hard,
                              .hard_similarities = bank.similarities(v, positives.hard),
                              .weight = weight};
  const Contrast result = contrast(inputs, {.form = config.form, .tau = config.tau});

  ObjectiveStep step{.loss = {},
                     .means = result.means,
                     .indices = rows,
                     .embeddings = v,
                     .positives = positives.all,
                     .hard_positives = positives.hard,
                     .new_neighbors = nearest_neighbors(
                         inputs.background.rows, inputs.background.similarities, rows,
                         config.neighbors, config.form == ContrastForm::kReleased)};
  // The gradient is taken now, while the bank is still the one that the loss saw.
  step.loss = record("objective", result.means.slice(2, 3).view({}), {embeddings}, [&] {
    return [dv = gradient(inputs, result, v, bank)](const Tensor& dy, const Needs&) -> Grads {
      return {scale(dv, dy)};
    };
  });
  return step;
}

void update(const ObjectiveStep& step, const ObjectiveConfig& config, MemoryBank& bank,
            NeighborGraph& graph, const Tensor& halted) {
  bank.update(step.indices, step.embeddings, config.bank_momentum, halted);
  graph.update(step.indices, step.new_neighbors, halted);
}

}  // namespace invp
