// invp bench layer: every distinct convolution of a network and the memory-bound work around it,
// one by one.
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/autograd/node.h"
#include "engine/core/memory.h"
#include "engine/ops/basic/cast.h"
#include "engine/ops/conv/conv2d.h"
#include "engine/ops/norm/batch_norm.h"
#include "invp/report/text/table.h"
#include "tools/bench/bench.h"
#include "tools/bench/random_tensors.h"
#include "tools/bench/resnet_layers.h"
#include "tools/bench/timing.h"
#include "tools/options/device_options.h"
#include "tools/options/network_options.h"

namespace invp::cli {

namespace {

struct LayerTimes {
  Timing forward;
  Timing backward;  ///< of all inputs together
};

LayerTimes time_layer(const Repeats& repeats, const std::function<Tensor()>& forward) {
  LayerTimes times;
  {
    const NoGrad guard;
    times.forward = measure(repeats, [&] { forward(); });
  }
  Tensor y;
  Tensor dy;
  times.backward = measure(
      repeats, [&] { backward(y, dy); },
      [&] {
        y = forward();
        if (!dy) dy = cast(Tensor::full(y.shape(), 1, y.device()), y.dtype());
      });
  return times;
}

class BenchLayer : public Command {
 public:
  CommandText text() const override {
    return {.name = "bench layer",
            .arguments = "[options]",
            .summary = "each layer of a network by itself",
            .description =
                "Times each distinct convolution of a network and the batch norm after it,\n"
                "forward and backward. The table says how often the network has it; the total is\n"
                "the time that a training step spends in all convolutions.\n",
            .examples = "  invp bench layer --arch resnet50 --batch-size 16 --image-size 224\n"};
  }

  void declare(Options& options) override {
    declare_network(options, network_);
    options.main_group("Work");
    options.integer("batch-size", batch_, {1, 65536}, "images at a time");
    options.integer("image-size", image_size_, {8, 4096},
                    "height and width of the images, in pixels");
    options.integer("repeats", repeats_, {1, 1e6},
                    "measured runs of each layer; the median counts");
    declare_device(options, device_);
  }

  Results run() override {
    compute_ = start_compute(device_);
    announce(compute_);
    reset_peak_memory(compute_.device);
    Table table({"size", ">in", ">out", ">kernel", ">stride", ">times", ">forward ms", ">GFLOP/s",
                 ">backward ms", ">GFLOP/s"});
    Timing total;
    Results layers = Results::array();
    for (const ConvLayer& layer : conv_layers(network_, image_size_)) {
      time_conv(layer, table, total, layers);
    }
    Table norms(
        {"batch norm + ReLU", ">channels", ">forward ms", ">GB/s", ">backward ms", ">GB/s"});
    for (const ConvLayer& layer : conv_layers(network_, image_size_)) {
      if (layer.kernel != 1) time_norm(layer, norms);
    }
    std::cout << table.text() << "\n  all convolutions, each as often as the network has it: "
              << format_ms(total.median) << " ms\n\n"
              << norms.text();
    Results results = timing_results(total, compute_.device);
    results["images_per_second"] = static_cast<double>(batch_) * 1000 / total.median;
    results["layers"] = layers;
    return results;
  }

 private:
  void time_conv(const ConvLayer& layer, Table& table, Timing& total, Results& layers) const {
    const Tensor x = random_input({batch_, layer.size, layer.size, layer.in});
    const Tensor w = random_input({layer.out, layer.kernel, layer.kernel, layer.in});
    const Conv2dParams params{.stride = layer.stride, .padding = layer.kernel / 2};
    const Conv2dShape shape = conv2d_shape(x.shape(), w.shape(), params);
    const LayerTimes times = time_layer(repeats(), [&] {
      // The first layer's input is the image, which needs no gradient.
      return conv2d(layer.in == 3 ? x : as_input(x), as_input(w), {}, params);
    });
    const double work = 2e-6 * static_cast<double>(shape.N * shape.P * shape.Q * shape.K * shape.R *
                                                   shape.S * shape.C);
    const double backward_work = layer.in == 3 ? work : 2 * work;
    table.row({message(layer.size, "x", layer.size), std::to_string(layer.in),
               std::to_string(layer.out), std::to_string(layer.kernel),
               std::to_string(layer.stride), std::to_string(layer.count),
               format_ms(times.forward.median), formatted("%.0f", work / times.forward.median),
               format_ms(times.backward.median),
               formatted("%.0f", backward_work / times.backward.median)});
    total.median += layer.count * (times.forward.median + times.backward.median);
    total.least += layer.count * (times.forward.least + times.backward.least);
    total.most += layer.count * (times.forward.most + times.backward.most);
    layers.push_back({{"size", layer.size},
                      {"in", layer.in},
                      {"out", layer.out},
                      {"kernel", layer.kernel},
                      {"stride", layer.stride},
                      {"count", layer.count},
                      {"forward_ms", times.forward.median},
                      {"backward_ms", times.backward.median}});
  }

  void time_norm(const ConvLayer& layer, Table& table) const {
    const std::int64_t side = (layer.size - 1) / layer.stride + 1;
    const Tensor x = random_input({batch_, side, side, layer.out});
    const auto channels = [&](float value) {
      return Tensor::full({layer.out}, value, compute_.device);
    };
    const Tensor gamma = channels(1);
    const Tensor beta = channels(0);
    const Tensor mean = channels(0);
    const Tensor var = channels(1);
    const LayerTimes times = time_layer(repeats(), [&] {
      return batch_norm_relu(as_input(x), as_input(gamma), as_input(beta), mean, var);
    });
    // Forward reads x twice and writes y; backward reads x and dy twice and writes dx.
    const double gigabytes = 1e-6 * static_cast<double>(x.nbytes());
    table.row({message(side, "x", side), std::to_string(layer.out), format_ms(times.forward.median),
               formatted("%.1f", 3 * gigabytes / times.forward.median),
               format_ms(times.backward.median),
               formatted("%.1f", 5 * gigabytes / times.backward.median)});
  }

  Tensor random_input(const Shape& shape) const {
    return cast(random_tensor(shape, compute_.seed, 0).to(compute_.device), compute_.type);
  }
  Repeats repeats() const { return {.device = compute_.device, .measured = repeats_}; }

  NetworkConfig network_;
  int batch_ = 16;
  int image_size_ = 224;
  int repeats_ = 5;
  DeviceOptions device_;
  Compute compute_;
};

}  // namespace

void add_bench_layer(Commands& commands) {
  commands.push_back(std::make_unique<BenchLayer>());
}

}  // namespace invp::cli
