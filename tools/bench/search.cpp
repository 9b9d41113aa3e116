// invp bench search and knn: the work on the memory bank, by itself.
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "engine/autograd/node.h"
#include "engine/core/memory.h"
#include "engine/core/text.h"
#include "engine/ops/basic/l2_normalize.h"
#include "invp/method/knn.h"
#include "invp/method/objective.h"
#include "invp/report/text/table.h"
#include "tools/bench/bench.h"
#include "tools/bench/random_tensors.h"
#include "tools/bench/timing.h"
#include "tools/options/device_options.h"
#include "tools/options/objective_options.h"

namespace invp::cli {

namespace {

class BenchSearch : public Command {
 public:
  CommandText text() const override {
    return {.name = "bench search",
            .arguments = "[options]",
            .summary = "one step of the objective against a bank",
            .description =
                "Times three things for a batch of random embeddings: the search for the\n"
                "background; search, propagation, both losses and the gradient; and all of it\n"
                "with the update of bank and graph. FLOP/s count the inner products (2 x batch x\n"
                "bank x dim), GB/s the bank, read once.\n",
            .examples = "  invp bench search --bank 1281167 --background 4096\n"};
  }

  void declare(Options& options) override {
    options.main_group("Work");
    options.integer("bank", bank_, {2, 2e9}, "rows of the bank");
    options.integer("dim", dim_, {1, 65536}, "values of an embedding");
    options.integer("batch-size", batch_, {1, 65536}, "embeddings per step");
    options.integer("repeats", repeats_, {1, 1e6}, "measured steps; the median counts");
    declare_objective(options, objective_);
    declare_device(options, device_);
  }

  Results run() override {
    const Compute compute = start_compute(device_);
    announce(compute);
    MemoryBank bank(random_directions(bank_, dim_, compute.seed, 1).to(compute.device));
    NeighborGraph graph(random_graph().to(compute.device));
    Tensor features = random_tensor({batch_, dim_}, compute.seed, 2).to(compute.device);
    features.set_requires_grad(true);
    std::vector<std::int64_t> indices(static_cast<std::size_t>(batch_));
    std::int64_t next = 0;
    const Tensor queries = l2_normalize(features).detach();
    const Repeats repeats{.device = compute.device, .warmups = 1, .measured = repeats_};
    const Timing search = measure(repeats, [&] { bank.search(queries, objective_.background); });
    const auto gradient = [&] {
      for (std::int64_t& index : indices) index = next++ % bank_;
      features.set_grad({});
      ObjectiveStep step =
          objective(l2_normalize(features), indices, bank, graph, objective_, objective_.lambda);
      backward(step.loss);
      return step;
    };
    const Timing with_gradient = measure(repeats, gradient);
    const std::int64_t before = memory_stats(compute.device).live;
    reset_peak_memory(compute.device);
    const Timing whole = measure(repeats, [&] { update(gradient(), objective_, bank, graph); });
    const std::int64_t beyond = memory_stats(compute.device).peak - before;

    Table table({"objective step", ">median ms", ">min .. max", ">TFLOP/s", ">bank GB/s"});
    table.row(cells("search", search, bank));
    table.row(cells("search, losses, gradient", with_gradient, bank));
    table.row(cells("all, with the update", whole, bank));
    std::cout << message("bank ", bank_, ", dim ", dim_, ", batch ", batch_, ", M ",
                         objective_.background, "; beyond the bank ", format_bytes(beyond), "\n")
              << table.text();
    Results results = timing_results(whole, compute.device);
    results["queries_per_second"] = static_cast<double>(batch_) * 1000 / whole.median;
    results["beyond_bank_bytes"] = beyond;
    results["search_ms"] = search.median;
    results["search_and_gradient_ms"] = with_gradient.median;
    results["flops"] = flops();
    results["bank_bytes"] = bank.nbytes();
    return results;
  }

 private:
  double flops() const {
    return 2 * static_cast<double>(batch_) * static_cast<double>(bank_) * static_cast<double>(dim_);
  }

  std::vector<std::string> cells(const char* name, const Timing& timing,
                                 const MemoryBank& bank) const {
    const double seconds = timing.median / 1000;
    return {name, format_ms(timing.median), format_spread(timing),
            formatted("%.2f", 1e-12 * flops() / seconds),
            formatted("%.1f", 1e-9 * static_cast<double>(bank.nbytes()) / seconds)};
  }

  Tensor random_graph() const {
    const Tensor rows = Tensor::empty({bank_, objective_.neighbors}, DType::kI32);
    Random random(static_cast<std::uint64_t>(device_.seed), Purpose::kBenchmark, 3);
    for (std::int32_t& row : rows.span<std::int32_t>())
      row = static_cast<std::int32_t>(random.integer(0, bank_ - 1));
    return rows;
  }

  std::int64_t bank_ = 1'281'167;
  std::int64_t dim_ = 128;
  std::int64_t batch_ = 128;
  int repeats_ = 5;
  ObjectiveConfig objective_;
  DeviceOptions device_;
};

class BenchKnn : public Command {
 public:
  CommandText text() const override {
    return {.name = "bench knn",
            .arguments = "[options]",
            .summary = "weighted kNN against a bank",
            .description =
                "Times the weighted kNN classification of random queries against a random bank.\n",
            .examples = "  invp bench knn --bank 1281167 --queries 1024 --k 200\n"};
  }

  void declare(Options& options) override {
    options.main_group("Work");
    options.integer("bank", bank_, {1, 2e9}, "labeled rows of the bank");
    options.integer("dim", dim_, {1, 65536}, "values of a feature");
    options.integer("queries", queries_, {1, 1e9}, "features to classify");
    options.integer("k", k_, {1, 1e6}, "neighbors that vote");
    options.integer("classes", classes_, {2, 1e6}, "classes they vote for");
    options.integer("repeats", repeats_, {1, 1e6}, "measured runs; the median counts");
    declare_device(options, device_);
  }

  Results run() override {
    const Compute compute = start_compute(device_);
    announce(compute);
    const MemoryBank bank(random_directions(bank_, dim_, compute.seed, 1).to(compute.device));
    const Tensor queries = random_directions(queries_, dim_, compute.seed, 2).to(compute.device);
    const std::vector<std::int64_t> labels = round_robin(bank_);
    const std::vector<std::int64_t> truth = round_robin(queries_);
    reset_peak_memory(compute.device);
    const Repeats repeats{.device = compute.device, .warmups = 1, .measured = repeats_};
    const Timing timing = measure(repeats, [&] {
      knn_classify(queries, truth, bank, labels, {.k = k_, .classes = classes_});
    });
    const double rate = static_cast<double>(queries_) * 1000 / timing.median;
    const double flops = 2 * static_cast<double>(queries_) * static_cast<double>(bank_ * dim_);
    Table table({"weighted kNN", ">median ms", ">min .. max", ">queries/s", ">TFLOP/s"});
    table.row({message("bank ", bank_, ", dim ", dim_, ", k ", k_), format_ms(timing.median),
               format_spread(timing), formatted("%.0f", rate),
               formatted("%.2f", 1e-9 * flops / timing.median)});
    std::cout << table.text();
    Results results = timing_results(timing, compute.device);
    results["queries_per_second"] = rate;
    results["flops"] = flops;
    return results;
  }

 private:
  std::vector<std::int64_t> round_robin(std::int64_t count) const {
    std::vector<std::int64_t> labels(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < labels.size(); ++i)
      labels[i] = static_cast<std::int64_t>(i) % classes_;
    return labels;
  }

  std::int64_t bank_ = 1'281'167;
  std::int64_t dim_ = 128;
  std::int64_t queries_ = 256;
  std::int64_t k_ = 200;
  std::int64_t classes_ = 1000;
  int repeats_ = 5;
  DeviceOptions device_;
};

}  // namespace

void add_bench_search(Commands& commands) {
  commands.push_back(std::make_unique<BenchSearch>());
}
void add_bench_knn(Commands& commands) {
  commands.push_back(std::make_unique<BenchKnn>());
}

}  // namespace invp::cli
