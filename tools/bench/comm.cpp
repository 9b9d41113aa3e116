// invp bench comm: what exchanges between ranks take.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <vector>

#include "engine/comm/comm_mpi.h"
#include "engine/core/parallel.h"
#include "engine/core/stop.h"
#include "engine/core/text.h"
#include "invp/report/text/table.h"
#include "tools/bench/bench.h"
#include "tools/bench/random_tensors.h"
#include "tools/bench/timing.h"
#include "tools/options/device_options.h"
#include "tools/options/rank_options.h"

namespace invp::cli {

namespace {

using Clock = std::chrono::steady_clock;

class BenchComm : public Command {
 public:
  CommandText text() const override {
    return {.name = "bench comm",
            .arguments = "[--ranks N] [options]",
            .summary = "exchanges between ranks",
            .description =
                "Times sums, gathers and exchanges between ranks, for small and large tensors,\n"
                "and beside the sums in the fixed tree those of the MPI library itself. A time is\n"
                "the slowest rank's; GB/s are bytes of the tensor over it.\n",
            .examples = "  invp bench comm --ranks 2\n  mpirun -n 4 invp bench comm\n"};
  }

  void declare(Options& options) override {
    options_ = &options;
    options.main_group("Work");
    options.integer("elements", elements_, {1, 1e9}, "f32 of the large tensor");
    options.integer("repeats", repeats_, {1, 1e6}, "measured calls; the median counts");
    options.number("seconds", seconds_, {0, 1e6},
                   "go on for at least so long: to watch ranks, or to see what ends them");
    declare_threads(options, threads_);
    declare_ranks(options, ranks_);
  }

  Results run() override {
    start_ranks(ranks_, *options_);
    set_num_threads(threads_);
    Results results;
    on_ranks(ranks_, {}, [&](JoinedRanks& ranks) { results = measure_all(ranks); });
    return results;
  }

 private:
  /// One kind of call.
  struct Kind {
    const char* name;
    const char* key;  ///< in --json
    std::function<void(const Tensor& x)> call;
  };

  Results measure_all(JoinedRanks& ranks) {
    Communicator& all = *ranks.communicator;
    const int size = all.ranks().size;
    if (ranks.control)
      ranks.control->agree({{"elements", std::to_string(elements_)},
                            {"repeats", std::to_string(repeats_)},
                            {"seconds", format_number(seconds_)}});
    std::cerr << ranks_line(ranks) << (size > 1 ? "\n" : "");
    std::vector<Kind> kinds = {
        {"sum, fixed tree", "all_reduce", [&](const Tensor& x) { all.all_reduce("bench", x); }},
        {"gather", "all_gather",
         [&](const Tensor& x) {
           all.all_gather("bench", x.slice(0, std::max<std::int64_t>(1, x.numel() / size)),
                          gathered_.slice(0, std::max<std::int64_t>(1, x.numel() / size) * size));
         }},
        {"broadcast", "broadcast", [&](const Tensor& x) { all.broadcast("bench", x, 0); }}};
    if (size > 1)
      kinds.insert(kinds.begin() + 1, {"sum, MPI_Allreduce", "mpi_all_reduce", library_all_reduce});
    const Tensor large =
        random_tensor({elements_}, 0, static_cast<std::uint64_t>(all.ranks().rank));
    gathered_ = Tensor::zeros({std::max<std::int64_t>(elements_, size)});
    Results results;
    results["ranks"] = size;
    results["elements"] = elements_;
    Table table({"exchange", ">f32", ">median ms", ">min .. max", ">GB/s"});
    for (const std::int64_t count :
         {std::int64_t{1}, std::int64_t{1024}, std::int64_t{65536}, elements_}) {
      if (count > elements_) continue;
      for (const Kind& kind : kinds) add_row(kind, ranks, large.slice(0, count), table, results);
    }
    std::cout << table.text();
    return results;
  }

  void add_row(const Kind& kind, JoinedRanks& ranks, const Tensor& x, Table& table,
               Results& results) {
    const Timing timing = time_of(kind, ranks, x);
    const double rate = 1e-6 * static_cast<double>(x.nbytes()) / timing.median;
    table.row({kind.name, std::to_string(x.numel()), format_ms(timing.median),
               format_spread(timing), formatted("%.2f", rate)});
    const std::string size = x.numel() == elements_ ? "" : "_" + std::to_string(x.numel());
    results[kind.key + size + "_ms"] = timing.median;
  }

  /// Of the slowest rank.
  Timing time_of(const Kind& kind, JoinedRanks& ranks, const Tensor& x) {
    Communicator& all = *ranks.communicator;
    const auto until = Clock::now() + std::chrono::duration<double>(seconds_);
    std::vector<double> times;
    for (int i = 0; more(ranks, i, Clock::now() < until); ++i) {
      x.zero();  // sums of sums would grow without end
      const Tensor time = Tensor::zeros({1}, DType::kF64);
      all.all_reduce("start", time);
      const auto start = Clock::now();
      kind.call(x);
      *time.data<double>() =
          std::chrono::duration<double, std::milli>(Clock::now() - start).count();
      all.all_reduce("times", time, Reduction::kMax);
      if (i > 0) times.push_back(*time.data<double>());
    }
    std::sort(times.begin(), times.end());
    return {times[times.size() / 2], times.front(), times.back()};
  }

  /// Whether there is a repeat number i, the first unmeasured: all ranks decide the same.
  bool more(JoinedRanks& ranks, int i, bool time_left) {
    bool go_on = i <= repeats_ || time_left;
    if (ranks.control == nullptr) {
      check_stop();
      return go_on;
    }
    const Ticket answer = ranks.control->exchange({.step = step_++, .save = go_on});
    check_stop();
    return answer.save;
  }

  Options* options_ = nullptr;
  std::int64_t elements_ = 25'600'000;
  int repeats_ = 7;
  double seconds_ = 0;
  int threads_ = 0;
  RankOptions ranks_;
  Tensor gathered_;
  std::int64_t step_ = 0;
};

}  // namespace

void add_bench_comm(Commands& commands) {
  commands.push_back(std::make_unique<BenchComm>());
}

}  // namespace invp::cli
