#include "invp/report/curves.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>

#include "engine/core/error.h"
#include "engine/core/memory.h"
#include "invp/report/progress.h"
#include "invp/report/svg_chart.h"

namespace invp {

namespace {

Series series_of(const char* name, const std::vector<EpochReport>& epochs, const auto& value) {
  Series series{name, {}};
  for (const EpochReport& epoch : epochs) {
    series.points.emplace_back(static_cast<double>(epoch.epoch), value(epoch));
  }
  return series;
}

double or_nan(const std::optional<double>& value) {
  return value.value_or(std::numeric_limits<double>::quiet_NaN());
}

std::string summary(const std::vector<EpochReport>& epochs) {
  if (epochs.empty()) return "no epoch finished yet";
  double seconds = 0;
  double best = -1;
  for (const EpochReport& epoch : epochs) {
    seconds += std::isfinite(epoch.seconds) ? epoch.seconds : 0;
    best = std::max(best, epoch.knn_top1.value_or(-1));
  }
  std::string text =
      message(epochs.back().epoch, epochs.back().epoch == 1 ? " epoch, " : " epochs, ",
              format_duration(seconds), " of training");
  if (best >= 0) {
    char knn[48];
    std::snprintf(knn, sizeof knn, ", best kNN top-1 %.1f %%", best);
    text += knn;
  }
  return text + ", peak memory " + format_bytes(epochs.back().peak_memory_bytes);
}

}  // namespace

std::string curves_svg(const std::string& title, const std::vector<EpochReport>& epochs) {
  std::vector<Chart> charts;
  charts.push_back(
      {.title = "Loss",
       .unit = "mean of the epoch",
       .series = {series_of("total", epochs, [](const auto& e) { return e.loss; }),
                  series_of("instance", epochs, [](const auto& e) { return e.loss_ins; }),
                  series_of("invariance", epochs, [](const auto& e) { return e.loss_inv; })}});
  const bool has_knn = std::any_of(epochs.begin(), epochs.end(),
                                   [](const auto& e) { return e.knn_top1.has_value(); });
  if (has_knn) {
    charts.push_back(
        {.title = "Weighted kNN",
         .unit = "validation top-1, per cent",
         .series = {series_of("top-1", epochs, [](const auto& e) { return or_nan(e.knn_top1); })},
         .mark_highest = true});
  }
  charts.push_back(
      {.title = "Learning rate",
       .unit = "",
       .series = {series_of("rate", epochs, [](const auto& e) { return e.learning_rate; })},
       .from_zero = true});
  charts.push_back(
      {.title = "Speed",
       .unit = "images a second",
       .series = {series_of("speed", epochs, [](const auto& e) { return e.images_per_second; })},
       .from_zero = true});
  return svg_figure(title, summary(epochs), "epoch", charts);
}

void write_whole(const std::filesystem::path& file, const std::string& text) {
  const std::filesystem::path fresh = file.string() + ".tmp";
  {
    std::ofstream out(fresh, std::ios::binary | std::ios::trunc);
    out << text << std::flush;
    CHECK(out.good(), file.string(),
          ": cannot be written (is the disk full, the folder read-only?)");
  }
  std::error_code error;
  std::filesystem::rename(fresh, file, error);
  CHECK(!error, file.string(), ": cannot be replaced: ", error.message());
}

}  // namespace invp
