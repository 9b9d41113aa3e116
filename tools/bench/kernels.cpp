// invp bench kernels: kernels that only move memory, beside a plain copy of the same tensor.
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/autograd/node.h"
#include "engine/core/memory.h"
#include "engine/ops/basic/cast.h"
#include "engine/ops/basic/elementwise.h"
#include "engine/ops/basic/l2_normalize.h"
#include "engine/ops/basic/softmax.h"
#include "engine/ops/norm/batch_norm.h"
#include "engine/ops/pool/avg_pool2d.h"
#include "engine/ops/pool/max_pool2d.h"
#include "engine/ops/step/sgd_step.h"
#include "invp/report/text/table.h"
#include "tools/bench/bench.h"
#include "tools/bench/random_tensors.h"
#include "tools/bench/timing.h"
#include "tools/options/device_options.h"

namespace invp::cli {

namespace {

using Operation = std::function<Tensor(const Tensor& x)>;

class BenchKernels : public Command {
 public:
  CommandText text() const override {
    return {.name = "bench kernels",
            .arguments = "[options]",
            .summary = "kernels that only move memory, beside a plain copy",
            .description =
                "Times the kernels that only move memory, on tensors of ResNet-50's first stage.\n"
                "Counts the bytes that each must read and write, and compares with a plain copy.\n",
            .examples = "  invp bench kernels --batch-size 128 --precision bf16\n"};
  }

  void declare(Options& options) override {
    options.main_group("Work");
    options.integer("batch-size", batch_, {1, 65536},
                    "images, of 56 x 56 pixels with 256 channels");
    options.integer("repeats", repeats_, {1, 1e6}, "measured runs per kernel; the median counts");
    declare_device(options, device_);
  }

  Results run() override {
    compute_ = start_compute(device_);
    announce(compute_);
    reset_peak_memory(compute_.device);
    const Tensor x = random(kSide, kSide, kChannels);
    const auto elements = static_cast<double>(x.numel());
    const double copy = 2 * elements;  // of the tensor's elements, read and written

    const Tensor target = Tensor::empty_like(x);
    time("copy", copy, [&] { target.copy_from(x); });
    time_norms(x, elements);
    time_elementwise(x, elements);
    time_pools(elements);
    time_rows();
    time_sgd();

    std::cout << table_.text();
    Results results = timing_results(total_, compute_.device);
    results["kernels"] = kernels_;
    results["copy_gigabytes_per_second"] = copy_rate_;
    results["share_of_copy"] = least_share_;
    return results;
  }

 private:
  static constexpr std::int64_t kSide = 56;
  static constexpr std::int64_t kChannels = 256;

  Tensor random(std::int64_t height, std::int64_t width, std::int64_t channels) {
    const Tensor host = random_tensor({batch_, height, width, channels}, compute_.seed, salt_++);
    return cast(host.to(compute_.device), compute_.type);
  }

  /// `moved` counts elements of the run's type that are read or written once.
  void time(const std::string& name, double moved, const std::function<void()>& body,
            const std::function<void()>& prepare = {}) {
    const Timing timing = measure({.device = compute_.device, .measured = repeats_}, body, prepare);
    const double rate = 1e-6 * moved * static_cast<double>(size_of(compute_.type)) / timing.median;
    if (copy_rate_ == 0) copy_rate_ = rate;
    const double share = rate / copy_rate_;
    least_share_ = std::min(least_share_, share);
    total_.median += timing.median;
    total_.least += timing.least;
    total_.most += timing.most;
    table_.row({name, format_ms(timing.median), format_spread(timing), formatted("%.0f", rate),
                formatted("%.0f %%", 100 * share)});
    kernels_.push_back({{"kernel", name}, {"ms", timing.median}, {"gigabytes_per_second", rate}});
  }

  /// Forward without recording, and backward.
  void time_both(const std::string& name, const Tensor& x, double forward, double backward_moved,
                 const Operation& operation) {
    time(name, forward, [&] {
      const NoGrad guard;
      operation(x);
    });
    Tensor y = operation(as_input(x));
    const Tensor dy = random_like(y);
    time(
        name + ", backward", backward_moved, [&] { backward(y, dy); },
        [&] { y = operation(as_input(x)); });
  }

  Tensor random_like(const Tensor& y) {
    return cast(random_tensor(y.shape(), compute_.seed, salt_++).to(compute_.device), y.dtype());
  }

  void time_norms(const Tensor& x, double n) {
    const Tensor residual = random_like(x);
    const auto channel = [&](float value) {
      return Tensor::full({kChannels}, value, compute_.device);
    };
    const Tensor gamma = channel(1), beta = channel(0), mean = channel(0), var = channel(1);
    // Training reads x for the statistics and again to normalise it; backward reads x and dy twice.
    time_both("batch norm + ReLU", x, 3 * n, 5 * n,
              [&](const Tensor& in) { return batch_norm_relu(in, gamma, beta, mean, var); });
    // Backward reads x, y and dy once, writes the residual's gradient, and reads that and x again.
    time_both("batch norm + add + ReLU", x, 4 * n, 7 * n, [&](const Tensor& in) {
      return batch_norm_add_relu(in, as_input(residual), gamma, beta, mean, var);
    });
    time("batch norm + ReLU, inference", 2 * n, [&] {
      const NoGrad guard;
      batch_norm_relu(x, gamma, beta, mean, var, {.training = false});
    });
  }

  void time_elementwise(const Tensor& x, double n) {
    const Tensor other = random_like(x);
    time_both("ReLU", x, 2 * n, 3 * n, [](const Tensor& in) { return relu(in); });
    time("add", 3 * n, [&] {
      const NoGrad guard;
      add(x, other);
    });
    const DType target = x.dtype() == DType::kF32 ? DType::kBF16 : DType::kF32;
    const double both = static_cast<double>(size_of(DType::kF32) + size_of(DType::kBF16));
    time("cast", n * both / static_cast<double>(size_of(x.dtype())), [&] {
      const NoGrad guard;
      cast(x, target);
    });
  }

  void time_pools(double n) {
    const Tensor stem = random(2 * kSide, 2 * kSide, kChannels / 4);  // n elements too
    const double tap = 1 / static_cast<double>(size_of(compute_.type));
    time_both("max pool 3x3, stride 2", stem, n + n / 4 * (1 + tap), n + n / 4 * (1 + tap),
              [](const Tensor& in) { return max_pool2d(in); });
    const Tensor last = random(7, 7, 8 * kChannels);
    const auto m = static_cast<double>(last.numel());
    time_both("global average pool", last, m, m,
              [](const Tensor& in) { return adaptive_avg_pool2d(in, 1, 1); });
  }

  void time_rows() {
    const Tensor rows =
        random(1, kSide * kSide, kChannels).view({batch_ * kSide * kSide, kChannels});
    const auto n = static_cast<double>(rows.numel());
    time_both("L2 normalise rows of 256", rows, 2 * n, 3 * n,
              [](const Tensor& in) { return l2_normalize(in); });
    time_both("softmax of 256", rows, 2 * n, 3 * n, [](const Tensor& in) { return softmax(in); });
  }

  /// As many parameters as ResNet-50 with the MLP head has, in as many tensors.
  void time_sgd() {
    std::vector<SgdItem> items;
    double parameters = 0;
    for (int i = 0; i < 161; ++i) {
      const std::int64_t size = i % 3 == 0 ? 512 * 1024 : i % 3 == 1 ? 256 : 2048;
      const auto make = [&](float value) { return Tensor::full({size}, value, compute_.device); };
      items.push_back({.weight = make(1), .gradient = make(0.5F), .momentum = make(0)});
      parameters += static_cast<double>(size);
    }
    const double f32 = 4.0 / static_cast<double>(size_of(compute_.type));
    time("SGD with momentum, 161 tensors", 5 * parameters * f32,
         [&] { sgd_step(items, {.lr = 1e-3, .weight_decay = 1e-4}); });
  }

  int batch_ = 32;
  int repeats_ = 20;
  DeviceOptions device_;
  Compute compute_;
  std::uint64_t salt_ = 0;
  Table table_{{"kernel", ">ms", ">spread", ">GB/s", ">of copy"}};
  Timing total_;
  Results kernels_ = Results::array();
  double copy_rate_ = 0;
  double least_share_ = 1;
};

}  // namespace

void add_bench_kernels(Commands& commands) {
  commands.push_back(std::make_unique<BenchKernels>());
}

}  // namespace invp::cli
