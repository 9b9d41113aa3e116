// Operations bound by memory, at the sizes of a ResNet-50 step (batch 32, 224 pixels), in bytes
// that must move a second: compare with BM_Copy, the machine's own speed, and with oneDNN's batch
// normalisation.
#include <benchmark/benchmark.h>

#include <oneapi/dnnl/dnnl.hpp>

#include "engine/autograd/node.h"
#include "engine/core/parallel.h"
#include "engine/core/random.h"
#include "engine/core/stores_cpu.h"
#include "engine/ops/norm/batch_norm.h"
#include "engine/ops/pool/max_pool2d.h"
#include "engine/ops/step/sgd_step.h"

namespace invp {
namespace {

void set_bytes(benchmark::State& state, double passes, const Tensor& x) {
  state.counters["GB/s"] = benchmark::Counter(passes * static_cast<double>(x.nbytes()),
                                              benchmark::Counter::kIsIterationInvariantRate);
}

/// Times the body after one run that faults pages in and fills the allocator's cache.
template <class Body>
void time(benchmark::State& state, const Body& body) {
  body();
  for (auto _ : state) body();
}

Tensor noise(const Shape& shape, DType dtype) {
  Random random(1, Purpose::kBenchmark);
  std::vector<float> values(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = i < 65537 ? static_cast<float>(random.uniform(-1, 1)) : values[i - 65537];
  }
  const Tensor x = Tensor::from(values, shape);
  if (dtype == DType::kF32) return x;
  const Tensor y = Tensor::empty(shape, dtype);
  for (std::int64_t i = 0; i < x.numel(); ++i) y.data<BFloat16>()[i] = BFloat16(x.data<float>()[i]);
  return y;
}

struct Norm {
  explicit Norm(std::int64_t channels)
      : gamma(Tensor::full({channels}, 1)),
        beta(Tensor::full({channels}, 0)),
        running_mean(Tensor::full({channels}, 0)),
        running_var(Tensor::full({channels}, 1)) {
    gamma.set_requires_grad(true);
    beta.set_requires_grad(true);
  }
  Tensor gamma, beta, running_mean, running_var;
};

Shape shape_of(const benchmark::State& state) {
  return {32, state.range(0), state.range(0), state.range(1)};
}

void BM_Copy(benchmark::State& state) {
  const Tensor x = noise(shape_of(state), DType::kF32);
  const Tensor y = Tensor::empty_like(x);
  time(state, [&] {
    parallel_for(0, x.numel(), 4096, [&](std::int64_t begin, std::int64_t end) {
      cpu::store_past_caches(y.data<float>() + begin, x.data<float>() + begin, end - begin);
    });
  });
  set_bytes(state, 2, x);
}

void BM_Sum(benchmark::State& state) {
  const Tensor x = noise(shape_of(state), DType::kF32);
  float total[64] = {};
  time(state, [&] {
    parallel_for(0, x.numel(), 4096, [&](std::int64_t begin, std::int64_t end) {
      float sum = 0;
      const float* values = x.data<float>();
#pragma omp simd reduction(+ : sum)
      for (std::int64_t i = begin; i < end; ++i) sum += values[i];
      total[begin == 0] = sum;
    });
    benchmark::DoNotOptimize(total);
  });
  set_bytes(state, 1, x);
}

template <DType dtype>
void BM_BatchNormStatistics(benchmark::State& state) {
  const Tensor x = noise(shape_of(state), dtype);
  const Norm norm(x.dim(-1));
  const Tensor moments = Tensor::empty({3, x.dim(-1)}, DType::kF64);
  const Tensor mean = Tensor::empty_like(norm.gamma);
  const Tensor inverse_std = Tensor::empty_like(norm.gamma);
  time(state, [&] {
    cpu::batch_norm_moments(x, moments);
    cpu::batch_norm_finish(moments, {}, mean, inverse_std, norm.running_mean, norm.running_var);
  });
  set_bytes(state, 1, x);
}

template <DType dtype, BatchNormFusion fusion>
void BM_BatchNormForward(benchmark::State& state) {
  const NoGrad no_grad;
  const Tensor x = noise(shape_of(state), dtype);
  const Norm n(x.dim(-1));
  time(state, [&] {
    if constexpr (fusion == BatchNormFusion::kRelu) {
      benchmark::DoNotOptimize(batch_norm_relu(x, n.gamma, n.beta, n.running_mean, n.running_var));
    } else if constexpr (fusion == BatchNormFusion::kAddRelu) {
      benchmark::DoNotOptimize(
          batch_norm_add_relu(x, x, n.gamma, n.beta, n.running_mean, n.running_var));
    } else {
      benchmark::DoNotOptimize(batch_norm(x, n.gamma, n.beta, n.running_mean, n.running_var));
    }
  });
  set_bytes(state, 3, x);
}

template <DType dtype, BatchNormFusion fusion>
void BM_BatchNormBackward(benchmark::State& state) {
  constexpr bool kAdd = fusion == BatchNormFusion::kAddRelu;
  const Tensor x = noise(shape_of(state), dtype);
  const Tensor dy = noise(shape_of(state), dtype);
  const Norm n(x.dim(-1));
  const BatchNormScaling scaling{n.running_mean, n.running_var, n.gamma, n.beta};
  const auto count = static_cast<double>(x.numel()) / static_cast<double>(x.dim(-1));
  time(state, [&] {
    const BatchNormReduced reduced{.sums = Tensor::empty({2, x.dim(-1)}, DType::kF64),
                                   .dgamma = Tensor::empty_like(n.gamma),
                                   .dbeta = Tensor::empty_like(n.gamma),
                                   .dresidual = kAdd ? Tensor::empty_like(x) : Tensor()};
    cpu::batch_norm_gradient_sums(fusion, x, scaling, kAdd ? x : Tensor(), dy, reduced);
    cpu::batch_norm_dx(kAdd ? BatchNormFusion::kNone : fusion, x, scaling, {},
                       kAdd ? reduced.dresidual : dy, reduced.sums, count, Tensor::empty_like(x));
  });
  set_bytes(state, kAdd ? 7 : 5, x);
}

// oneDNN on the same data: forward training and backward, NHWC.
void BM_OneDnnBatchNorm(benchmark::State& state) {
  using namespace dnnl;
  const bool backward = state.range(2) != 0;
  const Shape s = shape_of(state);
  const engine cpu_engine(engine::kind::cpu, 0);
  stream queue(cpu_engine);
  const memory::desc data({s[0], s[3], s[1], s[2]}, memory::data_type::f32,
                          memory::format_tag::nhwc);
  const auto flags = normalization_flags::use_scale | normalization_flags::use_shift;
  const batch_normalization_forward::primitive_desc forward_desc(
      cpu_engine, prop_kind::forward_training, data, data, 1e-5F, flags);
  const auto make = [&](const memory::desc& desc, const Tensor& t) {
    return memory(desc, cpu_engine, t.raw());
  };
  const Tensor x = noise(s, DType::kF32);
  const Tensor dy = noise(s, DType::kF32);
  const Tensor y = noise(s, DType::kF32);
  const Norm n(s[3]);
  const memory::desc channel({s[3]}, memory::data_type::f32, memory::format_tag::a);
  std::unordered_map<int, memory> arguments{{DNNL_ARG_SRC, make(data, x)},
                                            {DNNL_ARG_DST, make(data, y)},
                                            {DNNL_ARG_SCALE, make(channel, n.gamma)},
                                            {DNNL_ARG_SHIFT, make(channel, n.beta)},
                                            {DNNL_ARG_MEAN, make(channel, n.running_mean)},
                                            {DNNL_ARG_VARIANCE, make(channel, n.running_var)}};
  primitive run = batch_normalization_forward(forward_desc);
  if (backward) {
    const batch_normalization_backward::primitive_desc desc(cpu_engine, prop_kind::backward, data,
                                                            data, data, 1e-5F, flags, forward_desc);
    run = batch_normalization_backward(desc);
    arguments.erase(DNNL_ARG_DST);
    arguments.erase(DNNL_ARG_SHIFT);
    arguments.insert({{DNNL_ARG_DIFF_SRC, make(data, y)}, {DNNL_ARG_DIFF_DST, make(data, dy)}});
  }
  const Tensor dgamma = Tensor::empty_like(n.gamma);
  const Tensor dbeta = Tensor::empty_like(n.gamma);
  if (backward) {
    arguments[DNNL_ARG_DIFF_SCALE] = make(channel, dgamma);
    arguments[DNNL_ARG_DIFF_SHIFT] = make(channel, dbeta);
  }
  time(state, [&] {
    run.execute(queue, arguments);
    queue.wait();
  });
  set_bytes(state, backward ? 5 : 3, x);
}

template <DType dtype>
void BM_MaxPoolForward(benchmark::State& state) {
  const NoGrad no_grad;
  const Tensor x = noise({32, 112, 112, 64}, dtype);
  time(state, [&] { benchmark::DoNotOptimize(max_pool2d(x)); });
  set_bytes(state, 1.25, x);
}

template <DType dtype>
void BM_MaxPoolBackward(benchmark::State& state) {
  const Tensor dx = noise({32, 112, 112, 64}, dtype);
  const Tensor dy = Tensor::empty({32, 56, 56, 64}, dtype);
  const Tensor tap = Tensor::empty(dy.shape(), DType::kU8);
  const PoolAxes axes = pool_axes("bench", dx.shape(), 3, 2, 1);
  cpu::max_pool2d_forward(axes.rows, axes.columns, dx, dy, tap);
  time(state, [&] { cpu::max_pool2d_backward(axes.rows, axes.columns, tap, dy, dx); });
  set_bytes(state, 1.25, dx);
}

// 28 million parameters in 160 tensors, as in ResNet-50 with its head: reads w, g, v, writes w, v.
void BM_SgdStep(benchmark::State& state) {
  std::vector<SgdItem> items;
  for (int i = 0; i < 160; ++i) {
    const Shape shape{i % 2 == 0 ? 350'000 : 256};
    items.push_back(
        {noise(shape, DType::kF32), noise(shape, DType::kF32), noise(shape, DType::kF32)});
  }
  time(state, [&] { sgd_step(items, {.lr = 1e-9, .weight_decay = 1e-4}); });
  state.counters["GB/s"] =
      benchmark::Counter(80 * 5 * 350'256.0 * 4, benchmark::Counter::kIsIterationInvariantRate);
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->Unit(benchmark::kMillisecond)
      ->UseRealTime()
      ->Args({56, 256})
      ->Args({112, 64})
      ->Args({14, 1024})
      ->Args({7, 2048});
}
void largest(benchmark::internal::Benchmark* bench) {
  bench->Unit(benchmark::kMillisecond)->UseRealTime()->Args({56, 256});
}
using Fusion = BatchNormFusion;
BENCHMARK(BM_Copy)->Apply(largest);
BENCHMARK(BM_Sum)->Apply(largest);
BENCHMARK(BM_BatchNormStatistics<DType::kF32>)->Apply(sizes);
BENCHMARK(BM_BatchNormForward<DType::kF32, Fusion::kNone>)->Apply(sizes);
BENCHMARK(BM_BatchNormForward<DType::kF32, Fusion::kRelu>)->Apply(sizes);
BENCHMARK(BM_BatchNormForward<DType::kF32, Fusion::kAddRelu>)->Apply(sizes);
BENCHMARK(BM_BatchNormBackward<DType::kF32, Fusion::kNone>)->Apply(sizes);
BENCHMARK(BM_BatchNormBackward<DType::kF32, Fusion::kRelu>)->Apply(sizes);
BENCHMARK(BM_BatchNormBackward<DType::kF32, Fusion::kAddRelu>)->Apply(sizes);
BENCHMARK(BM_BatchNormForward<DType::kBF16, Fusion::kRelu>)->Apply(sizes);
BENCHMARK(BM_BatchNormBackward<DType::kBF16, Fusion::kRelu>)->Apply(sizes);
BENCHMARK(BM_MaxPoolForward<DType::kF32>)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(BM_MaxPoolBackward<DType::kF32>)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(BM_SgdStep)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(BM_OneDnnBatchNorm)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->ArgsProduct({{56}, {256}, {0, 1}});
BENCHMARK(BM_OneDnnBatchNorm)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->ArgsProduct({{112}, {64}, {0, 1}});
BENCHMARK(BM_OneDnnBatchNorm)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->ArgsProduct({{14}, {1024}, {0, 1}});

}  // namespace
}  // namespace invp
