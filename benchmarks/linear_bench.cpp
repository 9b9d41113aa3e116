// What 17 linear classifiers cost beside the forward pass they look at: a frozen ResNet-50, images
// of 224 x 224. Arguments: images a step. Both take turns; "ratio" is the median of step over
// forward pass, turn by turn.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <vector>

#include "data/sets/dataset.h"
#include "engine/autograd/node.h"
#include "engine/core/error.h"
#include "engine/core/stopwatch.h"
#include "invp/protocols/linear/linear_task.h"
#include "layers/resnet.h"

namespace invp {
namespace {

constexpr int kSide = 224;

/// Labels alone.
class Labels final : public Dataset {
 public:
  Labels(std::int64_t count, std::int64_t classes)
      : Dataset("labels", labels(count, classes),
                std::vector<std::string>(static_cast<std::size_t>(classes))) {}
  std::string name(std::int64_t index) const override { return message("image ", index); }
  void fetch(std::int64_t index, Sample&) const override { fail(name(index), ": has no pixels"); }

 private:
  static std::vector<std::int32_t> labels(std::int64_t count, std::int64_t classes) {
    std::vector<std::int32_t> all;
    for (std::int64_t i = 0; i < count; ++i)
      all.push_back(static_cast<std::int32_t>(i * 7 % classes));
    return all;
  }
};

Batch make_batch(std::int64_t count, std::int64_t classes) {
  Batch batch;
  batch.images = Tensor::full({count, kSide, kSide, 3}, 0.5F);
  for (std::int64_t i = 0; i < count; ++i) {
    batch.indices.push_back(i);
    batch.labels.push_back(i * 7 % classes);
  }
  return batch;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

ResNet& frozen_network() {
  static ResNet network({.arch = Arch::kResNet50});
  network.train(false);
  return network;
}

void step_of_17_heads(benchmark::State& state, TapPooling pooling, std::int64_t classes) {
  const Batch batch = make_batch(state.range(0), classes);
  const Labels dataset(state.range(0), classes);
  ResNet& network = frozen_network();
  const LinearConfig config{.pooling = pooling};
  LinearHeads heads(tap_layers(network, kSide, {}, pooling), {.outputs = classes});
  LinearTask task(network, heads, config, dataset, dataset);
  std::vector<double> forward, ratios;
  const auto turn = [&] {
    Stopwatch stopwatch;
    {
      const NoGrad no_grad;
      benchmark::DoNotOptimize(network.features(batch.images));
    }
    forward.push_back(stopwatch.lap());
    task.step(batch, {});
    benchmark::DoNotOptimize(task.finish());
    const double step = stopwatch.lap();
    ratios.push_back(step / forward.back());
    return step;
  };
  turn();  // memory is fetched, weights are packed
  forward.clear();
  ratios.clear();
  for (auto _ : state) state.SetIterationTime(turn());
  state.counters["forward_ms"] = 1e3 * median(forward);
  state.counters["ratio"] = median(ratios);
  state.counters["ratio_min"] = *std::ranges::min_element(ratios);
  state.counters["ratio_max"] = *std::ranges::max_element(ratios);
}

BENCHMARK_CAPTURE(step_of_17_heads, imagenet, TapPooling::kGlobal, 1000)
    ->Arg(64)
    ->Arg(256)
    ->Iterations(9)
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime();
BENCHMARK_CAPTURE(step_of_17_heads, places205, TapPooling::kAbout9000, 205)
    ->Arg(64)
    ->Arg(256)
    ->Iterations(9)
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime();

}  // namespace
}  // namespace invp
