#include "invp/method/objective_case.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "engine/autograd/node.h"
#include "engine/ops/basic/l2_normalize.h"

namespace invp {

namespace {

std::vector<std::int64_t> host_integers(const char* name, const Tensor& tensor) {
  const Tensor host = tensor.to(kCpu);
  if (host.dtype() == DType::kI64) {
    return {host.span<std::int64_t>().begin(), host.span<std::int64_t>().end()};
  }
  CHECK(host.dtype() == DType::kI32, "[objective] ", name, " must be i64 or i32, got ",
        host.dtype());
  return {host.span<std::int32_t>().begin(), host.span<std::int32_t>().end()};
}

Tensor as_i32(const char* name, const Tensor& tensor, Device device) {
  std::vector<std::int32_t> narrow;
  for (const std::int64_t value : host_integers(name, tensor)) {
    CHECK(value >= -1 && value <= std::numeric_limits<std::int32_t>::max(), "[objective] ", name,
          " holds ", value);
    narrow.push_back(static_cast<std::int32_t>(value));
  }
  return Tensor::from(narrow, tensor.shape(), device);
}

/// As i64 on the host, with at least `width` columns.
Tensor padded(const Tensor& lists, std::int64_t width) {
  const std::vector<std::int64_t> values = host_integers("a list", lists);
  const std::int64_t own = lists.dim(1);
  const std::int64_t columns = std::max(own, width);
  const Tensor out = Tensor::empty({lists.dim(0), columns}, DType::kI64);
  std::ranges::fill(out.span<std::int64_t>(), -1);
  for (std::int64_t i = 0; i < lists.dim(0); ++i) {
    std::copy_n(values.begin() + i * own, own, out.data<std::int64_t>() + i * columns);
  }
  return out;
}

}  // namespace

ObjectiveResult run_objective_case(const ObjectiveCase& given, ObjectiveConfig config) {
  CHECK(given.neighbors.rank() == 2, "[objective] neighbors must be (n, k), got ",
        given.neighbors.shape());
  const Device device = given.bank.device();
  config.neighbors = given.neighbors.dim(1);
  MemoryBank bank(given.bank.clone());
  NeighborGraph graph(as_i32("neighbors", given.neighbors, device));

  Tensor features = given.features.to(device).clone();
  features.set_requires_grad(true);
  const double weight = config.no_invariance ? 0 : config.lambda;
  const ObjectiveStep step = objective(
      l2_normalize(features), host_integers("indices", given.indices), bank, graph, config, weight);
  backward(step.loss);
  update(step, config, bank, graph);

  const Tensor means = step.means.to(kCpu);
  return {.loss = means.slice(2, 3).view({}),
          .loss_ins = means.slice(0, 1).view({}),
          .loss_inv = means.slice(1, 2).view({}),
          .grad_features = features.grad().to(kCpu),
          .positives = padded(step.positives, 0),
          .hard_positives = padded(step.hard_positives, config.hard_positives),
          .new_neighbors = padded(step.new_neighbors, 0),
          .new_bank = bank.take(step.indices).to(kCpu)};
}

}  // namespace invp
