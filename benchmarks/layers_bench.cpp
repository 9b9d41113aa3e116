// Single layers at the shapes of ResNet, batch 32, and the pooling of regions at those of a
// detector, forward and with backward, under the names of benchmarks/peer/peer_layers.py:
// benchmarks/compare_layers sets the two side by side.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "engine/autograd/node.h"
#include "engine/core/random.h"
#include "engine/ops/basic/matmul.h"
#include "engine/ops/conv/conv2d.h"
#include "engine/ops/detection/roi_align.h"
#include "engine/ops/norm/batch_norm.h"
#include "engine/ops/pool/max_pool2d.h"

namespace invp {
namespace {

constexpr std::int64_t kBatch = 32;

Tensor normal(const Shape& shape, std::uint64_t number) {
  Tensor tensor = Tensor::empty(shape);
  Random random(0, Purpose::kBenchmark, number);
  float* const values = tensor.data<float>();
  for (std::int64_t i = 0; i < tensor.numel(); ++i) values[i] = static_cast<float>(random.normal());
  return tensor;
}

Tensor wanting_gradient(Tensor tensor) {
  tensor.set_requires_grad(true);
  return tensor;
}

/// A layer with its inputs drawn, and those of them that want a gradient.
struct Layer {
  std::function<Tensor()> forward;
  std::vector<Tensor> leaves;
};

Layer conv(std::int64_t in, std::int64_t out, std::int64_t kernel, int stride, std::int64_t size) {
  Tensor x = normal({kBatch, size, size, in}, 1);
  x.set_requires_grad(in != 3);  // images need no gradient
  const Tensor w = wanting_gradient(normal({out, kernel, kernel, in}, 2));
  const Conv2dParams params{.stride = stride, .padding = static_cast<int>(kernel / 2)};
  return {[=] { return conv2d(x, w, {}, params); }, {x, w}};
}

struct Norm {
  explicit Norm(std::int64_t channels)
      : gamma(wanting_gradient(Tensor::full({channels}, 1))),
        beta(wanting_gradient(Tensor::zeros({channels}))),
        mean(Tensor::zeros({channels})),
        var(Tensor::full({channels}, 1)) {}
  Tensor gamma, beta, mean, var;
};

Layer norm(std::int64_t channels, std::int64_t size) {
  const Tensor x = wanting_gradient(normal({kBatch, size, size, channels}, 1));
  const Norm n(channels);
  return {[=] { return batch_norm(x, n.gamma, n.beta, n.mean, n.var); }, {x, n.gamma, n.beta}};
}

Layer norm_add_relu(std::int64_t channels, std::int64_t size) {
  const Tensor x = wanting_gradient(normal({kBatch, size, size, channels}, 1));
  const Tensor residual = wanting_gradient(normal({kBatch, size, size, channels}, 2));
  const Norm n(channels);
  return {[=] { return batch_norm_add_relu(x, residual, n.gamma, n.beta, n.mean, n.var); },
          {x, residual, n.gamma, n.beta}};
}

Layer max_pool(std::int64_t channels, std::int64_t size) {
  const Tensor x = wanting_gradient(normal({kBatch, size, size, channels}, 1));
  return {[=] { return max_pool2d(x); }, {x}};
}

Layer fully_connected(std::int64_t rows, std::int64_t in, std::int64_t out) {
  const Tensor x = wanting_gradient(normal({rows, in}, 1));
  const Tensor w = wanting_gradient(normal({out, in}, 2));
  return {[=] { return linear(x, w); }, {x, w}};
}

/// Regions of 32 to 512 pixels spread evenly over sizes, shapes and places of a picture, cut off at
/// its edges. (n, 5)
Tensor regions(std::int64_t n, double height, double width) {
  const Tensor boxes = Tensor::zeros({n, 5});
  for (std::int64_t i = 0; i < n; ++i) {
    const auto spread = [i](double by) {
      return std::fmod(static_cast<double>(i) * by + 0.5, 1.0);
    };
    const double side = 32 * std::exp2(4 * spread(0.754877666));
    const double shape = std::exp2(spread(0.569840291) - 0.5);
    const double x = width * spread(0.618033989);
    const double y = height * spread(0.414213562);
    const auto put = [&](std::int64_t corner, double at, double most) {
      boxes.data<float>()[i * 5 + corner] = static_cast<float>(std::clamp(at, 0.0, most));
    };
    put(1, x - side * shape / 2, width);
    put(2, y - side / shape / 2, height);
    put(3, x + side * shape / 2, width);
    put(4, y + side / shape / 2, height);
  }
  return boxes;
}

/// Of one picture whose map has a cell for 16 pixels.
Layer roi(std::int64_t channels, std::int64_t height, std::int64_t width, std::int64_t n,
          int step = 1) {
  const Tensor x = wanting_gradient(normal({1, height, width, channels}, 1));
  const Tensor boxes =
      regions(n, 16 * static_cast<double>(height), 16 * static_cast<double>(width));
  const RoiAlignParams params{.height = 14, .width = 14, .spatial_scale = 1.0F / 16, .step = step};
  return {[=] { return roi_align(x, boxes, params); }, {x}};
}

void forward(benchmark::State& state, const std::function<Layer()>& make) {
  const Layer layer = make();
  const NoGrad no_grad;
  for (auto _ : state) benchmark::DoNotOptimize(layer.forward());
}

void forward_backward(benchmark::State& state, const std::function<Layer()>& make) {
  const Layer layer = make();
  const Tensor seed = normal(layer.forward().shape(), 3);
  for (auto _ : state) {
    backward(layer.forward(), seed);
    for (const Tensor& leaf : layer.leaves) leaf.set_grad({});
  }
}

void add(const std::string& name, const std::function<Layer()>& make) {
  const auto finish = [](benchmark::internal::Benchmark* bench) {
    bench->Unit(benchmark::kMillisecond)->UseRealTime()->MinWarmUpTime(0.1);
  };
  finish(benchmark::RegisterBenchmark((name + "/forward").c_str(), forward, make));
  finish(
      benchmark::RegisterBenchmark((name + "/forward+backward").c_str(), forward_backward, make));
}

[[maybe_unused]] const bool kRegistered = [] {
  add("conv3x3_64_64_56", [] { return conv(64, 64, 3, 1, 56); });
  add("conv1x1_256_64_56", [] { return conv(256, 64, 1, 1, 56); });
  add("conv7x7s2_3_64_224", [] { return conv(3, 64, 7, 2, 224); });
  add("conv3x3s2_128_128_56", [] { return conv(128, 128, 3, 2, 56); });
  add("conv3x3_512_512_7", [] { return conv(512, 512, 3, 1, 7); });
  add("batch_norm_256_56", [] { return norm(256, 56); });
  add("batch_norm_add_relu_256_56", [] { return norm_add_relu(256, 56); });
  add("max_pool3x3s2_64_112", [] { return max_pool(64, 112); });
  add("linear_2048_2048", [] { return fully_connected(4 * kBatch, 2048, 2048); });
  add("roi_align_1024_30x40_512", [] { return roi(1024, 30, 40, 512); });
  add("roi_align_512_30x40_512", [] { return roi(512, 30, 40, 512); });
  add("roi_align_2048_30x40_512_step2", [] { return roi(2048, 30, 40, 512, 2); });
  add("roi_align_1024_50x67_1000", [] { return roi(1024, 50, 67, 1000); });
  return true;
}();

}  // namespace
}  // namespace invp
