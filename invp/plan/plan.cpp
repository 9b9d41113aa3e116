#include "invp/plan/plan.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/core/error.h"
#include "invp/plan/breaks.h"

namespace invp {
namespace {

constexpr double kBytesOfFloat = 4;
constexpr double kBytesOfBf16 = 2;
constexpr double kBytesOfRow = 4;  // an image's number

std::int64_t groups_of(const PlanSettings& settings) {
  return settings.bn_groups == 0 ? settings.gpus : settings.bn_groups;
}

std::int64_t parts_of(std::int64_t count, std::int64_t parts) {
  return (count + parts - 1) / parts;
}

double bank_bytes(const PlanSettings& settings) {
  return static_cast<double>(settings.images) * settings.network.dim * kBytesOfFloat;
}

/// A step of `batch` images, without what the loader adds.
StepTime step_of(const PlanSettings& settings, const Plan& plan, std::int64_t batch) {
  const auto images = static_cast<double>(parts_of(batch, settings.gpus));
  const SearchSize search{.images = images,
                          .rows = static_cast<double>(settings.images),
                          .shards = static_cast<double>(plan.shards),
                          .dim = static_cast<double>(settings.network.dim)};
  const double row_bytes =
      kBytesOfRow + kBytesOfFloat * settings.network.dim + kBytesOfRow * settings.neighbors;
  StepTime step{
      .network = network_ms(settings.gpu, plan.network, images,
                            static_cast<double>(parts_of(groups_of(settings), settings.gpus))),
      .norms = norm_exchange_ms(static_cast<double>(plan.network.convolutions), plan.norm_span),
      .all_reduce = all_reduce_ms(
          settings.gpu, static_cast<double>(plan.network.parameters * settings.wire_bytes),
          settings.gpus),
      .search = search_ms(settings.gpu, search),
      .exchange = shard_exchange_ms(search.shards),
      .updates = update_ms(static_cast<double>(batch), row_bytes, settings.gpus)};
  if (settings.cores_per_gpu > 0) {
    const double loading = 1000 * images / (kLoaderRate * settings.cores_per_gpu);
    step.data_wait = std::max(0.0, loading - step.total());
  }
  return step;
}

GpuMemory memory_of(const PlanSettings& settings, const Plan& plan) {
  const double parameters = kBytesOfFloat * static_cast<double>(plan.network.parameters);
  return {.weights = parameters,
          .momentum = parameters,
          .gradients = settings.gpus > 1 ? 2 * parameters : parameters,
          .activations =
              kBytesOfBf16 * plan.network.kept_elements * static_cast<double>(plan.images_per_gpu),
          .bank = bank_bytes(settings) / static_cast<double>(plan.shards),
          .graph = static_cast<double>(settings.images) * settings.neighbors * kBytesOfRow};
}

std::string limit_of(const PlanSettings& settings, const Plan& plan) {
  if (plan.memory.total() > settings.gpu.memory_bytes) return "memory";
  const StepTime& step = plan.step_ms;
  if (step.data_wait > 0) return "loader";
  const std::array<std::pair<double, const char*>, 6> parts{{{step.network, "network"},
                                                             {step.search, "search"},
                                                             {step.all_reduce, "all_reduce"},
                                                             {step.norms, "norms"},
                                                             {step.exchange, "exchange"},
                                                             {step.updates, "updates"}}};
  return std::ranges::max_element(parts, {}, [](const auto& part) { return part.first; })->second;
}

}  // namespace

std::int64_t bank_shards(const PlanSettings& settings) {
  const std::int64_t node = std::min<std::int64_t>(settings.gpus, kGpusPerNode);
  if (settings.bank == BankPlace::kReplicated) return 1;
  if (settings.bank == BankPlace::kSharded) return node;
  return bank_bytes(settings) <= kReplicatedBankBytes ? 1 : node;
}

std::string plan_fault(const PlanSettings& settings) {
  const std::int64_t gpus = settings.gpus;
  const std::int64_t batch = settings.batch_size;
  const std::int64_t groups = groups_of(settings);
  if (gpus > batch)
    return message("--gpus ", gpus, " is more than --batch-size ", batch,
                   ": every GPU needs an image; use at most ", batch, " GPUs or a batch of ", gpus);
  if (groups > batch)
    return message("--bn-groups ", groups, " is more than --batch-size ", batch,
                   ": every group needs an image; use --bn-groups ", gpus, ", one per GPU");
  if (groups % gpus != 0 && gpus % groups != 0)
    return message("--bn-groups ", groups, " and --gpus ", gpus,
                   ": one must be a multiple of the other; use --bn-groups ", gpus,
                   ", one per GPU");
  return {};
}

Plan plan_run(const PlanSettings& settings) {
  const std::string fault = plan_fault(settings);
  CHECK(fault.empty(), fault);
  Plan plan;
  plan.network = size_of(settings.network, settings.image_size);
  plan.batch = std::min(settings.batch_size, settings.images);
  plan.images_per_gpu = parts_of(plan.batch, settings.gpus);
  plan.shards = bank_shards(settings);
  plan.norm_span = parts_of(settings.gpus, groups_of(settings));
  plan.step_ms = step_of(settings, plan, plan.batch);
  plan.memory = memory_of(settings, plan);

  const std::int64_t whole = settings.images / plan.batch;
  const std::int64_t rest = settings.images % plan.batch;
  const double last = rest > 0 ? step_of(settings, plan, rest).total() : 0;
  plan.epoch_seconds = (static_cast<double>(whole) * plan.step_ms.total() + last) / 1000;
  plan.images_per_second = 1000 * static_cast<double>(plan.batch) / plan.step_ms.total();
  const double device_ms = plan.step_ms.total() - plan.step_ms.data_wait;
  plan.loader_cores = 1000 * static_cast<double>(plan.images_per_gpu) / device_ms / kLoaderRate;
  plan.limit = limit_of(settings, plan);
  plan.breaks = breaks_of(settings, plan);
  return plan;
}

}  // namespace invp
