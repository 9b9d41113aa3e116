// invp bench step and infer: whole training steps and whole inference on random images that are in
// memory already.
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "engine/autograd/node.h"
#include "engine/core/memory.h"
#include "engine/core/text.h"
#include "invp/method/trainer.h"
#include "invp/report/text/table.h"
#include "tools/bench/bench.h"
#include "tools/bench/random_tensors.h"
#include "tools/bench/timing.h"
#include "tools/options/device_options.h"
#include "tools/options/network_options.h"
#include "tools/options/objective_options.h"
#include "tools/options/rank_options.h"

namespace invp::cli {

namespace {

/// The options of both benchmarks.
struct Work {
  NetworkConfig network;
  int batch = 128;
  int image_size = 32;
  int repeats = 5;
  int warmups = 3;  ///< two called and one captured (core/captured_work.h)
  DeviceOptions device;
};

void declare_work(Options& options, Work& work) {
  work.network.arch = Arch::kResNet18Cifar;
  declare_network(options, work.network);
  options.main_group("Work");
  options.integer("batch-size", work.batch, {1, 65536}, "images per step");
  options.integer("image-size", work.image_size, {8, 4096},
                  "height and width of the images, in pixels");
  options.integer("repeats", work.repeats, {1, 1e6}, "measured steps; the median counts");
  options.integer("warmups", work.warmups, {0, 1e6}, "steps before them, not measured");
}

Tensor random_images(const Work& work, const Compute& compute) {
  return random_tensor({work.batch, work.image_size, work.image_size, 3}, compute.seed, 1)
      .to(compute.device);
}

Repeats repeats(const Work& work, const Compute& compute) {
  return {.device = compute.device, .warmups = work.warmups, .measured = work.repeats};
}

Results report(const char* what, const Work& work, Device device, const Timing& timing) {
  const double rate = work.batch * 1000.0 / timing.median;
  const MemoryStats memory = memory_stats(device);
  Table table({what, ">median ms", ">min .. max", ">images/s", ">peak memory"});
  table.row({message(name_of(work.network.arch), ", width ", work.network.width, ", batch ",
                     work.batch, ", ", work.image_size, "x", work.image_size),
             format_ms(timing.median), format_spread(timing),
             formatted(rate < 100 ? "%.1f" : "%.0f", rate), format_bytes(memory.peak)});
  std::cout << table.text();
  Results results = timing_results(timing, device);
  results["images_per_second"] = rate;
  results["peak_resident_bytes"] = peak_resident_bytes();
  return results;
}

class BenchStep : public Command {
 public:
  CommandText text() const override {
    return {.name = "bench step",
            .arguments = "[--ranks N] [options]",
            .summary = "whole training steps",
            .description =
                "Times whole training steps (forward, objective, backward, optimizer, update of\n"
                "bank and graph) on random images that are in memory already. Of several ranks,\n"
                "which share the batch, rank 0's times.\n",
            .examples =
                "  invp bench step --arch resnet18-cifar --width 16 --ranks 2 --bn-groups 2\n"
                "  invp bench step --arch resnet18-cifar --width 16 --bank 10000\n"
                "  invp bench step --arch resnet50 --head mlp --tau 0.2 --batch-size 16 \\\n"
                "      --image-size 224 --bank 50000\n"};
  }

  void declare(Options& options) override {
    declare_work(options, work_);
    options.integer("bank", bank_, {1, 2e9}, "rows of the bank");
    declare_recompute(options, work_.network.recompute);
    declare_objective(options, objective_);
    declare_groups(options, groups_, norms_);
    declare_device(options, work_.device);
    declare_ranks(options, ranks_);
    options_ = &options;
  }

  Results run() override {
    start_ranks(ranks_, *options_);
    Results results;
    on_ranks(ranks_, {}, [&](JoinedRanks& ranks) { results = time_steps(ranks); });
    return results;
  }

 private:
  Results time_steps(const JoinedRanks& ranks) {
    if (work_.device.threads == 0) work_.device.threads = threads_of_rank(ranks);
    const Compute compute = start_compute(work_.device);
    check_device(ranks, compute.device);
    check_groups(ranks, groups_, work_.batch);
    if (ranks.control)
      ranks.control->agree({{"batch-size", std::to_string(work_.batch)},
                            {"bn-groups", std::to_string(groups_)},
                            {"norms", name_of(norms_)},
                            {"bank", std::to_string(bank_)},
                            {"steps", std::to_string(work_.warmups + work_.repeats)}});
    announce(compute);
    std::cerr << ranks_line(ranks) << (ranks.control ? "\n" : "");
    CHECK(bank_ >= work_.batch, "--bank ", bank_, " is less than --batch-size ", work_.batch,
          ": a step's images are distinct");
    objective_.warm_epochs = 0;
    NetworkConfig network = work_.network;
    network.seed = compute.seed;
    Trainer trainer({.network = network,
                     .objective = objective_,
                     .compute_type = compute.type,
                     .seed = compute.seed,
                     .groups = groups_,
                     .norms = norms_,
                     .device = compute.device},
                    bank_, ranks.communicator);
    fill_graph(trainer);
    const RowRange rows = share_of_rank(groups_, ranks.ranks()).rows(work_.batch);
    Batch batch{.images = random_images(work_, compute).slice(rows.first, rows.last),
                .indices = std::vector<std::int64_t>(static_cast<std::size_t>(rows.count())),
                .planned = work_.batch,
                .total = work_.batch};
    batch.places.resize(batch.indices.size());
    std::iota(batch.places.begin(), batch.places.end(), rows.first);
    std::int64_t step = 0;
    reset_peak_memory(compute.device);
    const Timing timing = measure(repeats(work_, compute), [&] {
      const std::int64_t first = work_.batch * step++ + rows.first;
      for (std::size_t i = 0; i < batch.indices.size(); ++i)
        batch.indices[i] = (first + static_cast<std::int64_t>(i)) % bank_;
      trainer.step(batch, 1, 1.0);
    });
    Results results = report("training step", work_, compute.device, timing);
    results["ranks"] = ranks.ranks().size;
    results["bn_groups"] = groups_;
    return results;
  }

  // With an empty graph a step would have no positives: every row gets neighbors, as after an
  // epoch.
  static void fill_graph(Trainer& trainer) {
    const Tensor& graph = trainer.graph().rows();
    const Tensor rows = Tensor::empty(graph.shape(), DType::kI32);
    const std::int64_t images = rows.dim(0);
    const std::int64_t neighbors = rows.dim(1);
    auto* const values = rows.data<std::int32_t>();
    for (std::int64_t i = 0; i < images; ++i) {
      for (std::int64_t k = 0; k < neighbors; ++k) {
        const std::int64_t row = images == 1 ? -1 : (i + 1 + k * 7919 % (images - 1)) % images;
        values[i * neighbors + k] = static_cast<std::int32_t>(row);
      }
    }
    graph.copy_from(rows);
  }

  Work work_;
  ObjectiveConfig objective_;
  std::int64_t bank_ = 10'000;
  int groups_ = 1;
  NormSharing norms_ = NormSharing::kLocal;
  RankOptions ranks_;
  Options* options_ = nullptr;
};

class BenchInfer : public Command {
 public:
  CommandText text() const override {
    return {.name = "bench infer",
            .arguments = "[options]",
            .summary = "inference of whole networks",
            .description =
                "Times the forward pass in evaluation mode, with batch norm folded into the\n"
                "convolutions, on random images that are in memory already.\n",
            .examples = "  invp bench infer --arch resnet50 --batch-size 32 --image-size 224\n"};
  }

  void declare(Options& options) override {
    declare_work(options, work_);
    declare_device(options, work_.device);
  }

  Results run() override {
    const Compute compute = start_compute(work_.device);
    announce(compute);
    NetworkConfig config = work_.network;
    config.seed = compute.seed;
    ResNet network(config);
    network.to(compute.device);
    network.set_compute_type(compute.type);
    network.train(false);
    const Tensor images = random_images(work_, compute);
    const NoGrad guard;
    reset_peak_memory(compute.device);
    const Timing timing = measure(repeats(work_, compute), [&] { network.forward(images); });
    return report("inference", work_, compute.device, timing);
  }

 private:
  Work work_;
};

}  // namespace

void add_bench_step(Commands& commands) {
  commands.push_back(std::make_unique<BenchStep>());
}
void add_bench_infer(Commands& commands) {
  commands.push_back(std::make_unique<BenchInfer>());
}

}  // namespace invp::cli
