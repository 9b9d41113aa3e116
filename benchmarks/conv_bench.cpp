// Every convolution of four networks, forward and backward, as the engine runs it and by oneDNN
// alone: --benchmark_filter=resnet50, or engine/, or backward_weight.
// FLOP/s count the multiplications of the definition, whatever the algorithm spares.
#include <benchmark/benchmark.h>

#include <array>
#include <string>
#include <vector>

#include "engine/core/random.h"
#include "engine/ops/conv/conv2d.h"
#include "engine/ops/conv/conv2d_direct_cpu.h"

namespace invp {
namespace {

/// A square convolution and how often the network has it; padding keeps the size.
struct Layer {
  int count;
  std::int64_t C, K, window, stride, pixels;
};

struct Network {
  std::string name;
  std::int64_t batch;
  std::vector<Layer> layers;
};

Network cifar_resnet18(std::int64_t width) {
  Network network{message("cifar_resnet18_", width), 128, {{1, 3, width, 3, 1, 32}}};
  std::int64_t pixels = 32;
  for (std::int64_t channels = width;; channels *= 2, pixels /= 2) {
    network.layers.push_back({channels == width ? 4 : 3, channels, channels, 3, 1, pixels});
    if (pixels == 4) return network;
    network.layers.push_back({1, channels, 2 * channels, 3, 2, pixels});
    network.layers.push_back({1, channels, 2 * channels, 1, 2, pixels});
  }
}

Network resnet18() {
  Network network{"resnet18", 32, {{1, 3, 64, 7, 2, 224}}};
  std::int64_t pixels = 56;
  for (std::int64_t channels = 64;; channels *= 2, pixels /= 2) {
    network.layers.push_back({channels == 64 ? 4 : 3, channels, channels, 3, 1, pixels});
    if (pixels == 7) return network;
    network.layers.push_back({1, channels, 2 * channels, 3, 2, pixels});
    network.layers.push_back({1, channels, 2 * channels, 1, 2, pixels});
  }
}

Network resnet50() {
  Network network{"resnet50", 16, {{1, 3, 64, 7, 2, 224}, {1, 64, 64, 1, 1, 56}}};
  constexpr std::array kBlocks = {3, 4, 6, 3};
  std::int64_t pixels = 56;
  std::int64_t channels = 64;
  for (const int blocks : kBlocks) {
    if (channels > 64) {  // the first block halves the map
      network.layers.push_back({1, 2 * channels, channels, 1, 1, 2 * pixels});
      network.layers.push_back({1, channels, channels, 3, 2, 2 * pixels});
      network.layers.push_back({1, 2 * channels, 4 * channels, 1, 2, 2 * pixels});
    }
    const bool first = channels == 64;
    network.layers.push_back({blocks - 1, 4 * channels, channels, 1, 1, pixels});
    network.layers.push_back({first ? blocks : blocks - 1, channels, channels, 3, 1, pixels});
    network.layers.push_back({first ? blocks + 1 : blocks, channels, 4 * channels, 1, 1, pixels});
    channels *= 2;
    pixels /= 2;
  }
  return network;
}

Tensor noise(const Shape& shape) {
  Random random(1, Purpose::kBenchmark);
  std::vector<float> values(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = i < 65537 ? static_cast<float>(random.uniform(-1, 1)) : values[i - 65537];
  return Tensor::from(values, shape);
}

enum class Pass : std::uint8_t { kForward, kBackwardInput, kBackwardWeight };
constexpr std::array kPassNames = {"forward", "backward_input", "backward_weight"};

void run(benchmark::State& state, std::int64_t batch, const Layer& layer, Pass pass, bool direct) {
  const Shape x_shape{batch, layer.pixels, layer.pixels, layer.C};
  const Shape w_shape{layer.K, layer.window, layer.window, layer.C};
  const Conv2dShape s = conv2d_shape(
      x_shape, w_shape,
      {.stride = static_cast<int>(layer.stride), .padding = static_cast<int>(layer.window / 2)});
  const Tensor x = noise(x_shape);
  const Tensor w = noise(w_shape);
  const Tensor y = noise({s.N, s.P, s.Q, s.K});
  const auto body = [&] {
    switch (pass) {
      case Pass::kForward:
        return (direct ? cpu::direct_forward : cpu::conv2d_forward)(s, x, w, {}, y, {});
      case Pass::kBackwardInput:
        return (direct ? cpu::direct_backward_input : cpu::conv2d_backward_input)(s, y, w, x);
      case Pass::kBackwardWeight:
        return (direct ? cpu::direct_backward_weight : cpu::conv2d_backward_weight)(s, y, x, w, {});
    }
  };
  body();  // faults pages in, fills the caches of memory and primitives
  for (auto _ : state) body();
  const auto products = static_cast<double>(y.numel() * layer.window * layer.window * layer.C);
  state.counters["FLOP/s"] =
      benchmark::Counter(2 * products, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["count"] = layer.count;
}

const bool kRegistered = [] {
  for (const Network& network : {resnet50(), resnet18(), cifar_resnet18(64), cifar_resnet18(16)}) {
    for (const Layer& layer : network.layers) {
      for (const Pass pass : {Pass::kForward, Pass::kBackwardInput, Pass::kBackwardWeight}) {
        if (layer.C == 3 && pass == Pass::kBackwardInput) continue;  // nobody asks for it
        for (const bool direct : {false, true}) {
          const std::string name =
              message(network.name, "/", layer.window, "x", layer.window, "_", layer.C, "_",
                      layer.K, "_stride", layer.stride, "_at", layer.pixels, "/",
                      kPassNames[static_cast<std::size_t>(pass)], direct ? "/onednn" : "/engine");
          benchmark::RegisterBenchmark(
              name.c_str(),
              [batch = network.batch, layer, pass, direct](benchmark::State& state) {
                run(state, batch, layer, pass, direct);
              })
              ->Unit(benchmark::kMillisecond)
              ->MeasureProcessCPUTime()
              ->UseRealTime();
        }
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace invp
