#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/core/error.h"
#include "engine/core/text.h"
#include "invp/plan/plan.h"
#include "invp/report/svg/svg_chart.h"

namespace invp {
namespace {

constexpr std::int64_t kMostGpus = 1024;
constexpr std::int64_t kImagesPerGpu = 128;

struct DataSet {
  const char* name;
  std::int64_t images;
};
constexpr DataSet kDataSets[] = {
    {"1.28 M", 1'280'000}, {"14 M", 14'000'000}, {"100 M", 100'000'000}, {"1 G", 1'000'000'000}};

const LogAxis& gpu_axis() {
  static const LogAxis axis{
      {{1, "1"}, {4, "4"}, {16, "16"}, {64, "64"}, {256, "256"}, {1024, "1,024"}}};
  return axis;
}

const LogAxis& time_axis() {
  static const LogAxis axis{{{0.1, "0.1 s"},
                             {1, "1 s"},
                             {10, "10 s"},
                             {60, "1 min"},
                             {600, "10 min"},
                             {3600, "1 h"},
                             {36'000, "10 h"},
                             {345'600, "4 d"},
                             {3'456'000, "40 d"},
                             {34'560'000, "400 d"}}};
  return axis;
}

struct Lines {
  Series seconds;
  Series share;  ///< of the network in a step, per cent
};

/// What does not fit into the GPUs' memory is left out, unless no number of GPUs suffices.
Lines lines_of(PlanSettings settings, const DataSet& set) {
  const std::int64_t most_batch = settings.batch_size;
  settings.images = set.images;
  settings.bn_groups = 0;
  std::vector<std::pair<std::int64_t, Plan>> plans;
  for (std::int64_t gpus = 1; gpus <= std::min(kMostGpus, most_batch); gpus *= 2) {
    settings.gpus = gpus;
    settings.batch_size = std::min(most_batch, kImagesPerGpu * gpus);
    plans.emplace_back(gpus, plan_run(settings));
  }
  const auto fits = [](const auto& one) { return one.second.limit != "memory"; };
  const bool any = std::ranges::any_of(plans, fits);
  Lines lines;
  lines.seconds.name = lines.share.name = std::string(set.name) + (any ? "" : " (does not fit)");
  for (const auto& one : plans) {
    if (any && !fits(one)) continue;
    const auto& [gpus, plan] = one;
    const auto x = static_cast<double>(gpus);
    lines.seconds.points.emplace_back(x, plan.epoch_seconds);
    lines.share.points.emplace_back(x, 100 * plan.step_ms.network / plan.step_ms.total());
  }
  return lines;
}

}  // namespace

std::string plan_picture(const PlanSettings& settings) {
  Chart time{.title = "Time per epoch",
             .unit = "by images in the training set",
             .log_x = gpu_axis(),
             .log_y = time_axis()};
  Chart share{.title = "The network's share of a step",
              .unit = "per cent",
              .from_zero = true,
              .log_x = gpu_axis()};
  for (const DataSet& set : kDataSets) {
    Lines lines = lines_of(settings, set);
    time.series.push_back(std::move(lines.seconds));
    share.series.push_back(std::move(lines.share));
  }
  return svg_figure(message("Pretraining over GPUs: ", name_of(settings.network.arch), " on ",
                            settings.gpu.title),
                    message("Calculated, not measured. 128 images per GPU, up to a batch of ",
                            format_rate(static_cast<double>(settings.batch_size)),
                            "; from there on fewer per GPU."),
                    "GPUs", {time, share});
}

}  // namespace invp
