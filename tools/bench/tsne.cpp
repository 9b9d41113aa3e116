// invp bench tsne: a whole t-SNE, of made-up clusters or of features.
#include "invp/tsne/tsne.h"

#include <cmath>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/core/memory.h"
#include "engine/files/safetensors.h"
#include "invp/report/text/table.h"
#include "tools/bench/bench.h"
#include "tools/bench/random_tensors.h"
#include "tools/bench/timing.h"
#include "tools/options/device_options.h"
#include "tools/options/tsne_options.h"

namespace invp::cli {

namespace {

class BenchTsne : public Command {
 public:
  CommandText text() const override {
    return {.name = "bench tsne",
            .arguments = "[options]",
            .summary = "a whole t-SNE: neighbors and descent",
            .description =
                "Times a t-SNE of random clusters on the unit sphere, or of the features of a\n"
                "file, from the features to the map.\n",
            .examples = "  invp bench tsne --points 8000 --dim 128 --repeats 3\n"};
  }

  void declare(Options& options) override {
    options.main_group("Work");
    options.integer("points", points_, {4, 1e8}, "rows");
    options.integer("dim", dim_, {1, 65536}, "values of a row");
    options.integer("clusters", clusters_, {1, 1e6}, "directions that the rows scatter around");
    options.text("features", features_, "FILE",
                 "rows of a file that invp extract wrote, not made-up ones");
    options.integer("repeats", repeats_, {1, 1e6}, "measured runs; the median counts");
    settings_.declare(options);
    declare_device(options, device_);
  }

  Results run() override {
    const Compute compute = start_compute(device_);
    announce(compute);
    const Tensor features = features_.empty() ? clusters(compute.seed) : features_of(features_);
    const TsneConfig config = settings_.resolve(features.dim(1), compute.seed);
    reset_peak_memory(kCpu);
    TsneResult result;
    const Timing timing = measure({.device = kCpu, .warmups = 0, .measured = repeats_},
                                  [&] { result = tsne(features, config); });
    Table table({"t-SNE", "method", ">median s", ">min .. max", ">iterations/s", ">KL"});
    const double seconds = timing.median / 1000;
    const double rate = result.iterations / seconds;
    table.row({message(features.dim(0), " x ", features.dim(1), ", perplexity ",
                       format_number(config.perplexity)),
               name_of(result.method), formatted("%.2f", seconds),
               message(formatted("%.2f", timing.least / 1000), " .. ",
                       formatted("%.2f", timing.most / 1000)),
               formatted("%.1f", rate), formatted("%.4f", result.kl)});
    std::cout << table.text();
    Results results = timing_results(timing, kCpu);
    results["iterations_per_second"] = rate;
    results["kl"] = result.kl;
    results["method"] = name_of(result.method);
    return results;
  }

 private:
  static Tensor features_of(const std::string& path) {
    const TensorFile file = read_safetensors(path);
    const Tensor* features = file.find("features");
    CHECK(features != nullptr, path, ": no 'features'; invp extract writes them");
    return *features;
  }

  Tensor clusters(std::uint64_t seed) const {
    const Tensor rows = random_directions(points_, dim_, seed, 1);
    const Tensor centers = random_directions(clusters_, dim_, seed, 2);
    for (std::int64_t i = 0; i < points_; ++i) {
      const float* center = centers.data<float>() + i % clusters_ * dim_;
      for (std::int64_t k = 0; k < dim_; ++k) rows.data<float>()[i * dim_ + k] += center[k];
    }
    return rows;
  }

  std::int64_t points_ = 8000;
  std::int64_t dim_ = 128;
  std::int64_t clusters_ = 40;
  std::string features_;
  int repeats_ = 1;
  TsneOptions settings_;
  DeviceOptions device_;
};

}  // namespace

void add_bench_tsne(Commands& commands) {
  commands.push_back(std::make_unique<BenchTsne>());
}

}  // namespace invp::cli
