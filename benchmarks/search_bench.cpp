// The search of the memory bank, weighted kNN, and one step of the objective without the network,
// at the size of ImageNet: random unit vectors, d 128, n 1,281,167 (n is an argument: 50,000 is
// CIFAR's). GFLOP/s count 2 b n d, the inner products alone.
#include <benchmark/benchmark.h>

#include <cmath>
#include <numeric>

#include "engine/autograd/node.h"
#include "engine/core/parallel.h"
#include "engine/core/random.h"
#include "engine/ops/basic/l2_normalize.h"
#include "engine/ops/search/top_similar.h"
#include "invp/method/knn.h"
#include "invp/method/objective.h"

namespace invp {
namespace {

constexpr std::int64_t kDim = 128;
constexpr std::int64_t kImageNet = 1'281'167;
constexpr std::int64_t kCifar = 50'000;

Tensor unit_rows(std::int64_t count, std::uint64_t seed) {
  return l2_normalize(MemoryBank(count, kDim, seed).rows());
}

/// The last one made, because a bank of ImageNet's size takes longer to draw than to search.
const Tensor& bank_of(std::int64_t rows) {
  static Tensor bank;
  if (!bank.defined() || bank.dim(0) != rows) {
    bank = {};
    bank = unit_rows(rows, 1);
  }
  return bank;
}

/// Runs `body` and reports GFLOP/s and the most memory it held beyond what stood before.
template <class Body>
void measure(benchmark::State& state, std::int64_t queries, std::int64_t rows, const Body& body) {
  const std::int64_t before = memory_stats(kCpu).live;
  reset_peak_memory(kCpu);
  for (auto _ : state) body();
  const double flops = 2.0 * static_cast<double>(queries) * static_cast<double>(rows) * kDim;
  state.counters["GFLOP/s"] =
      benchmark::Counter(flops / 1e9, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["extra_MB"] = static_cast<double>(memory_stats(kCpu).peak - before) / 1e6;
  state.SetItemsProcessed(state.iterations() * queries);
}

/// Arguments: queries, bank rows, count.
void top_similar_search(benchmark::State& state) {
  const Tensor bank = bank_of(state.range(1));
  const Tensor queries = unit_rows(state.range(0), 2);
  measure(state, state.range(0), state.range(1),
          [&] { benchmark::DoNotOptimize(top_similar(queries, bank, state.range(2))); });
}

/// Arguments: batch, bank rows, background. Forward, gradient, and the update of bank and graph.
void objective_step(benchmark::State& state, ContrastForm form) {
  const std::int64_t batch = state.range(0);
  const std::int64_t rows = state.range(1);
  const ObjectiveConfig config{.form = form, .background = state.range(2)};
  MemoryBank bank(bank_of(rows));
  NeighborGraph graph(rows, config.neighbors);
  Random random(3, Purpose::kBenchmark);
  for (std::int32_t& neighbor : graph.rows().span<std::int32_t>()) {
    neighbor = static_cast<std::int32_t>(random.integer(0, rows - 1));
  }
  std::vector<std::int64_t> indices(static_cast<std::size_t>(batch));
  for (std::int64_t& index : indices) index = random.integer(0, rows - 1);
  Tensor features = unit_rows(batch, 2).set_requires_grad(true);
  measure(state, batch, rows, [&] {
    features.set_grad({});
    const ObjectiveStep step =
        objective(l2_normalize(features), indices, bank, graph, config, config.lambda);
    backward(step.loss);
    update(step, config, bank, graph);
  });
}

/// Arguments: queries, bank rows, K. 1,000 classes.
void weighted_knn(benchmark::State& state) {
  const MemoryBank bank(bank_of(state.range(1)));
  const Tensor queries = unit_rows(state.range(0), 2);
  std::vector<std::int64_t> labels(static_cast<std::size_t>(state.range(1)));
  for (std::size_t j = 0; j < labels.size(); ++j) labels[j] = static_cast<std::int64_t>(j % 1000);
  const std::vector<std::int64_t> query_labels(static_cast<std::size_t>(state.range(0)), 0);
  measure(state, state.range(0), state.range(1), [&] {
    benchmark::DoNotOptimize(
        knn_classify(queries, query_labels, bank, labels, {.k = state.range(2)}));
  });
}

BENCHMARK(top_similar_search)
    ->Args({128, kImageNet, 4096})
    ->Args({128, kCifar, 4096})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(objective_step, paper, ContrastForm::kPaper)
    ->Args({128, kImageNet, 4096})
    ->Args({128, kCifar, 4096})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(objective_step, released, ContrastForm::kReleased)
    ->Args({128, kImageNet, 4096})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(weighted_knn)->Args({1024, kImageNet, 200})->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace invp
