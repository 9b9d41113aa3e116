// invp plan: what a run on many GPUs would take, before anyone pays for it.
#include "invp/plan/plan.h"

#include <iostream>
#include <nlohmann/json.hpp>
#include <utility>

#include "engine/core/text.h"
#include "engine/files/atomic_file.h"
#include "invp/report/text/table.h"
#include "tools/options/command.h"
#include "tools/options/network_options.h"

namespace invp::cli {

namespace {

constexpr double kMost = 1e12;

using Parts = std::vector<std::pair<const char*, double>>;

Parts parts_of(const StepTime& step) {
  return {{"network", step.network},       {"norms", step.norms},
          {"all_reduce", step.all_reduce}, {"search", step.search},
          {"exchange", step.exchange},     {"updates", step.updates},
          {"data_wait", step.data_wait},   {"total", step.total()}};
}

Parts parts_of(const GpuMemory& memory) {
  return {{"weights", memory.weights},     {"momentum", memory.momentum},
          {"gradients", memory.gradients}, {"activations", memory.activations},
          {"bank", memory.bank},           {"graph", memory.graph},
          {"total", memory.total()}};
}

std::string grouped(std::int64_t count) {
  return count < 1000 ? std::to_string(count) : format_rate(static_cast<double>(count));
}

std::string gpus(std::int64_t count) {
  return grouped(count) + (count == 1 ? " GPU" : " GPUs");
}

/// A size in few figures: "7.52", "1,024", "23 M", "1.0 G".
std::string short_size(double size) {
  if (size >= 1e9) return formatted(size < 1e10 ? "%.1f G" : "%.0f G", size / 1e9);
  if (size >= 1e6) return formatted(size < 1e7 ? "%.1f M" : "%.0f M", size / 1e6);
  return size < 1000 ? formatted("%.3g", size) : format_rate(size);
}

std::string share(double part, double whole) {
  return formatted("%.0f %%", 100 * part / whole);
}

class PlanCommand : public Command {
 public:
  CommandText text() const override {
    return {.name = "plan",
            .arguments = "--images N --gpus N --batch-size N [options]",
            .summary = "what a run on many GPUs would take",
            .description =
                "Calculates the time of a pretraining step and of an epoch by part, the memory of\n"
                "a GPU by part, what limits the run, and at what sizes something breaks. All is\n"
                "calculated from published figures, for --precision bf16; nothing was measured.\n"
                "The loader is taken to keep up, unless --cores-per-gpu says what it has.\n",
            .examples =
                "  invp plan --images 1.28M --gpus 8 --batch-size 1024 --head mlp\n"
                "  invp plan --images 1e9 --gpus 1024 --gpu h100 --batch-size 8192 --json\n"
                "  invp plan --images 1.28M --gpus 64 --batch-size 8192 --picture plan.svg\n"};
  }

  void declare(Options& options) override {
    options.main_group("Run");
    options.count("images", settings_.images, {1, kMost}, "images to train on: 1.28M, 1e9")
        .required();
    options.count("gpus", settings_.gpus, {1, 1e6}, "all GPUs, in nodes of eight").required();
    options.count("batch-size", settings_.batch_size, {1, kMost}, "images of a step, of all GPUs")
        .required();
    std::vector<std::pair<std::string, std::size_t>> kinds;
    for (const GpuKind& kind : gpu_kinds()) kinds.emplace_back(kind.name, kinds.size());
    options.choice<std::size_t>("gpu", gpu_, kinds, "what GPUs");
    options.count("bn-groups", settings_.bn_groups, {0, kMost}, "groups of batch norm")
        .shown_default("one per GPU");
    options
        .choice<BankPlace>("bank", settings_.bank,
                           {{"auto", BankPlace::kAuto},
                            {"replicated", BankPlace::kReplicated},
                            {"sharded", BankPlace::kSharded}},
                           "where the rows of the bank are")
        .notes({"on every GPU up to 12 GB, then parted", "on every GPU",
                "parted over the GPUs of a node"});
    options.choice<int>("wire", settings_.wire_bytes, {{"fp32", 4}, {"bf16", 2}},
                        "gradients on their way between GPUs");
    options
        .number("cores-per-gpu", settings_.cores_per_gpu, {0, 1024},
                "cores that decode images for a GPU")
        .shown_default("enough");
    options.integer("image-size", settings_.image_size, {8, 4096}, "pixels of a side");
    options.integer("neighbors", settings_.neighbors, {1, 1024}, "kept per image");
    options.text("picture", picture_, "FILE", "also draws the time per epoch against GPUs (.svg)");
    declare_network(options, settings_.network);
  }

  Results run() override {
    settings_.gpu = gpu_kinds()[gpu_];
    if (const std::string fault = plan_fault(settings_); !fault.empty()) throw UsageError(fault);
    const Plan plan = plan_run(settings_);
    print_head(plan);
    print_parts(plan);
    print_breaks(plan);
    if (!picture_.empty()) {
      write_file(picture_, plan_picture(settings_));
      std::cout << "\npicture  " << picture_ << '\n';
    }
    return results(plan);
  }

 private:
  void print_head(const Plan& plan) const {
    std::cout << "plan     " << grouped(settings_.images) << " images on " << gpus(settings_.gpus)
              << " (" << settings_.gpu.title << ")\n"
              << "batch    " << grouped(plan.batch) << " = " << gpus(settings_.gpus) << " x "
              << counted(plan.images_per_gpu, "image") << ", " << norms(plan) << '\n'
              << "network  " << name_of(settings_.network.arch) << ", "
              << formatted("%.1f", static_cast<double>(plan.network.parameters) / 1e6)
              << " million parameters, " << formatted("%.2f", plan.network.forward_flops / 2e9)
              << " billion multiplications per image\n"
              << "note     calculated from published figures, not measured\n\n";
  }

  std::string norms(const Plan& plan) const {
    if (plan.norm_span > 1) return "a batch norm sees " + gpus(plan.norm_span);
    const std::int64_t groups = settings_.bn_groups == 0 ? 1 : settings_.bn_groups / settings_.gpus;
    return "a batch norm sees " + counted((plan.images_per_gpu + groups - 1) / groups, "image");
  }

  void print_parts(const Plan& plan) const {
    Table step({"step", ">ms", ">share"});
    for (const auto& [name, ms] : parts_of(plan.step_ms)) {
      if (ms > 0) step.row({name, fixed(ms, 2), share(ms, plan.step_ms.total())});
    }
    Table memory({"memory of a GPU", ">GB", ">share"});
    for (const auto& [name, bytes] : parts_of(plan.memory))
      memory.row({name, fixed(bytes / 1e9, 2), share(bytes, settings_.gpu.memory_bytes)});
    std::cout << step.text() << '\n'
              << memory.text() << '\n'
              << "epoch    " << format_duration(plan.epoch_seconds) << ", "
              << format_rate(plan.images_per_second) << " images/s\n"
              << "bank     "
              << (plan.shards > 1 ? "parted over " + gpus(plan.shards) + " of a node"
                                  : std::string("whole on every GPU"))
              << '\n'
              << "limit    " << plan.limit << '\n'
              << "loader   needs " << format_rate(plan.loader_cores) << " cores per GPU\n\n";
  }

  static void print_breaks(const Plan& plan) {
    Table table({"what breaks", "by", ">up to", ">here", "", "beyond"});
    for (const Break& one : plan.breaks)
      table.row({one.what, one.unit, short_size(one.at), short_size(one.now),
                 one.passed() ? "over" : "", one.then});
    std::cout << table.text();
  }

  Results results(const Plan& plan) const {
    Results step;
    for (const auto& [name, ms] : parts_of(plan.step_ms)) step[name] = ms;
    Results memory;
    for (const auto& [name, bytes] : parts_of(plan.memory))
      memory[name] = static_cast<std::int64_t>(bytes);
    Results breaks = Results::array();
    for (const Break& one : plan.breaks)
      breaks.push_back({{"what", one.what},
                        {"unit", one.unit},
                        {"at", one.at},
                        {"now", one.now},
                        {"passed", one.passed()},
                        {"then", one.then}});
    return {{"step_ms", step},
            {"epoch_s", plan.epoch_seconds},
            {"images_per_second", plan.images_per_second},
            {"memory_bytes", memory},
            {"limit", plan.limit},
            {"loader_cores_per_gpu", plan.loader_cores},
            {"bank_shards", plan.shards},
            {"breaks", breaks}};
  }

  PlanSettings settings_;
  std::size_t gpu_ = 0;
  std::string picture_;
};

}  // namespace

void add_plan(Commands& commands) {
  commands.push_back(std::make_unique<PlanCommand>());
}

}  // namespace invp::cli
