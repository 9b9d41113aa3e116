#include "invp/method/objective.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/autograd/node.h"
#include "engine/ops/basic/scale.h"
#include "engine/ops/search/bank_rows.h"
#include "engine/ops/search/top_similar.h"

namespace invp {

namespace {

/// N(i) and the chosen ones of them.
struct Positives {
  Tensor all;
  Tensor hard;
};

Positives discover(const Tensor& v, const Tensor& rows, const MemoryBank& bank,
                   const NeighborGraph& graph, const ObjectiveConfig& config) {
  if (config.no_invariance) {
    const Tensor none = Tensor::empty({rows.dim(0), 0}, DType::kI32, rows.device());
    return {none, none};
  }
  const Propagation propagation =
      config.form == ContrastForm::kPaper ? Propagation::kDistinct : Propagation::kRepeated;
  const Tensor all = propagate(graph.rows(), rows, config.steps, propagation);
  const Tensor similarities = row_similarities(v, bank.rows(), all);
  return {all, choose_positives(all, similarities, config.hard_positives, config.positives)};
}

/// d(loss)/dv: one weighted sum over the bank rows that took part, never over the whole bank.
Tensor gradient(const ContrastInputs& inputs, const Contrast& result, const Tensor& v,
                const MemoryBank& bank) {
  const Tensor dv = Tensor::zeros(v.shape(), DType::kF32, v.device());
  const Tensor self = inputs.indices.view({inputs.indices.dim(0), 1});
  add_weighted_rows(dv, bank.rows(), inputs.background.rows, result.background_weights);
  add_weighted_rows(dv, bank.rows(), inputs.hard, result.hard_weights);
  add_weighted_rows(dv, bank.rows(), self, result.self_weights);
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
  const Device device = bank.rows().device();
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
        " and a bank of ", bank.rows().shape());
  CHECK(graph.size() == bank.size() && graph.neighbors() == config.neighbors,
        "[objective] the graph ", graph.rows().shape(), " does not fit a bank of ", bank.size(),
        " images with ", config.neighbors, " neighbors");

  const Tensor v = embeddings.detach();
  const Positives positives = discover(v, rows, bank, graph, config);
  const ContrastInputs inputs{.background = top_similar(v, bank.rows(), config.background),
                              .indices = rows,
                              .self = row_similarities(v, bank.rows(), rows.view({rows.dim(0), 1})),
                              .positives = positives.all,
                              .hard = positives.hard,
                              .hard_similarities = row_similarities(v, bank.rows(), positives.hard),
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
