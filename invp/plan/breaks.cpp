#include "invp/plan/breaks.h"

#include <algorithm>

#include "engine/core/error.h"

namespace invp {
namespace {

// Batches that someone has trained with: this recipe and SGD, as the paper has it, and methods like
// it with LARS (SimCLR).
constexpr double kTriedBatch = 128;
constexpr double kTriedBatchOfOthers = 4096;
// The order of an epoch, 8 bytes per image in every process: 8 GB, and ten seconds to shuffle.
constexpr double kOrderImages = 1e9;
// A checkpoint in one file: a bank of 100 GB takes minutes to write. Assumed.
constexpr double kCheckpointBankBytes = 100e9;
// Numbers of images are 32 bits wide.
constexpr double kMostImages = 2147483647;

Break loader(const PlanSettings& settings, const Plan& plan) {
  const bool known = settings.cores_per_gpu > 0;
  return {.what = known ? "loader" : "loader of a usual machine",
          .unit = "cores per GPU",
          .at = known ? settings.cores_per_gpu : settings.gpu.cores_per_gpu,
          .now = plan.loader_cores,
          .then = "the GPUs wait; --decode-on device, a pack, --augment imagenet-noblur"};
}

void add_batch(std::vector<Break>& breaks, const PlanSettings& settings, const Plan& plan) {
  const auto batch = static_cast<double>(plan.batch);
  if (batch <= kTriedBatch) {
    breaks.push_back({"batch of this recipe", "batch", kTriedBatch, batch,
                      "SGD untested; try the learning rate first"});
  } else {
    breaks.push_back({"batch of this recipe", "batch", kTriedBatch, batch,
                      "SGD untested; similar methods go on to 4,096 with LARS"});
    breaks.push_back({"batch of similar methods", "batch", kTriedBatchOfOthers, batch,
                      "untested with LARS too"});
  }
  // From here on, the fixed cost of a step is more than half of it.
  const double full = batch * image_ms(settings.gpu, plan.network) / fixed_ms(plan.network);
  breaks.push_back({"images per GPU", "GPUs", std::max(1.0, full),
                    static_cast<double>(settings.gpus),
                    "the fixed cost of a step is more than half of the network's time"});
}

void add_gpus(std::vector<Break>& breaks, const Plan& plan) {
  breaks.push_back({"batch norm over GPUs", "GPUs per group", kGpusPerNode,
                    static_cast<double>(plan.norm_span),
                    "its exchanges leave the node; more --bn-groups, up to one per GPU"});
}

/// Rows at which `per_row` of each, added to `rest`, reaches `most`.
double rows_until(double most, double rest, double per_row) {
  return std::max(0.0, (most - rest) / per_row);
}

/// The number of images that `at` gives for the shards that the bank has at that number.
template <class At>
double with_shards_there(const PlanSettings& settings, const At& at) {
  PlanSettings there = settings;
  there.images = static_cast<std::int64_t>(at(1.0));
  return at(static_cast<double>(bank_shards(there)));
}

/// Images at which the search takes as long as the network.
double search_limit(const PlanSettings& settings, const Plan& plan, double shards) {
  const SearchSize search{.images = static_cast<double>(plan.images_per_gpu),
                          .rows = 0,
                          .shards = shards,
                          .dim = static_cast<double>(settings.network.dim)};
  return rows_until(plan.step_ms.network, search_ms(settings.gpu, search),
                    search_ms_per_row(settings.gpu, search));
}

/// Images whose bank and graph fill a GPU.
double memory_limit(const PlanSettings& settings, const Plan& plan, double shards) {
  const GpuMemory& memory = plan.memory;
  return rows_until(settings.gpu.memory_bytes, memory.total() - memory.bank - memory.graph,
                    4.0 * settings.network.dim / shards + 4.0 * settings.neighbors);
}

void add_images(std::vector<Break>& breaks, const PlanSettings& settings, const Plan& plan) {
  const auto add = [&](const char* what, double at, const char* then) {
    breaks.push_back({what, "images", at, static_cast<double>(settings.images), then});
  };
  add("search",
      with_shards_there(settings,
                        [&](double shards) { return search_limit(settings, plan, shards); }),
      "it takes longer than the network");
  const double row = 4.0 * settings.network.dim;
  if (plan.shards == 1)
    add("bank on every GPU", kReplicatedBankBytes / row,
        "--bank auto parts it over the GPUs of a node");
  add("memory of a GPU",
      with_shards_there(settings,
                        [&](double shards) { return memory_limit(settings, plan, shards); }),
      "bank and graph do not fit beside the network; a smaller --dim, other GPUs");
  add("order of an epoch", kOrderImages, "8 GB and ten seconds of shuffling in every process");
  add("checkpoint in one file", kCheckpointBankBytes / row, "minutes to write, by one process");
  add("numbers of images", kMostImages, "they are 32 bits wide");
}

}  // namespace

std::vector<Break> breaks_of(const PlanSettings& settings, const Plan& plan) {
  std::vector<Break> breaks{loader(settings, plan)};
  add_batch(breaks, settings, plan);
  add_gpus(breaks, plan);
  add_images(breaks, settings, plan);
  const auto rank = [](const Break& one) {
    return std::pair(!one.passed(), one.passed() ? -one.now / one.at : one.at / one.now);
  };
  std::ranges::stable_sort(breaks, {}, rank);
  return breaks;
}

}  // namespace invp
