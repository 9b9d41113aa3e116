#include "invp/report/svg/curves.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>

#include "engine/core/error.h"
#include "engine/core/memory.h"
#include "engine/core/text.h"
#include "invp/report/svg/svg_chart.h"

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

double measure_or_nan(const EpochReport& epoch, const std::string& name) {
  const double* const value = find_measure(epoch.measures, name);
  return value != nullptr ? *value : std::numeric_limits<double>::quiet_NaN();
}

std::string summary(const std::vector<EpochReport>& epochs,
                    const std::vector<ShownMeasure>& shown) {
  if (epochs.empty()) return "no epoch finished yet";
  const std::string what = shown.empty() ? "kNN top-1" : shown.front().heading;
  double seconds = 0;
  double best = -1;
  for (const EpochReport& epoch : epochs) {
    seconds += std::isfinite(epoch.seconds) ? epoch.seconds : 0;
    const double accuracy =
        shown.empty() ? or_nan(epoch.knn_top1) : measure_or_nan(epoch, shown.front().name);
    if (accuracy > best) best = accuracy;
  }
  std::string text =
      message(epochs.back().epoch, epochs.back().epoch == 1 ? " epoch, " : " epochs, ",
              format_duration(seconds), " of training");
  if (best >= 0) {
    char figure[32];
    std::snprintf(figure, sizeof figure, " %.1f %%", best);
    text += ", best " + what + figure;
  }
  return text + ", peak memory " + format_bytes(epochs.back().peak_memory_bytes);
}

}  // namespace

std::string curves_svg(const std::string& title, const std::vector<EpochReport>& epochs,
                       const std::vector<ShownMeasure>& shown) {
  std::vector<Chart> charts;
  Chart losses{.title = "Loss",
               .unit = "mean of the epoch",
               .series = {series_of("total", epochs, [](const auto& e) { return e.loss; })}};
  if (shown.empty()) {
    losses.series.push_back(
        series_of("instance", epochs, [](const auto& e) { return or_nan(e.loss_ins); }));
    losses.series.push_back(
        series_of("invariance", epochs, [](const auto& e) { return or_nan(e.loss_inv); }));
  }
  charts.push_back(std::move(losses));
  if (!shown.empty()) {
    Chart accuracy{.title = "Accuracy", .unit = "per cent", .series = {}, .mark_highest = true};
    for (const ShownMeasure& measure : shown) {
      accuracy.series.push_back(series_of(measure.heading.c_str(), epochs, [&](const auto& e) {
        return measure_or_nan(e, measure.name);
      }));
    }
    charts.push_back(std::move(accuracy));
  }
  const bool has_knn = std::any_of(epochs.begin(), epochs.end(),
                                   [](const auto& e) { return e.knn_top1.has_value(); });
  if (has_knn) {
    charts.push_back(
        {.title = "Weighted kNN",
         .unit = "validation top-1, per cent",
         .series = {series_of("top-1", epochs, [](const auto& e) { return or_nan(e.knn_top1); })},
         .mark_highest = true});
  }
  const bool has_purity = std::any_of(epochs.begin(), epochs.end(),
                                      [](const auto& e) { return e.positive_purity.has_value(); });
  if (has_purity) {
    charts.push_back({.title = "Purity of positives",
                      .unit = "of the anchor's class, per cent",
                      .series = {series_of("N(i)", epochs,
                                           [](const auto& e) { return or_nan(e.positive_purity); }),
                                 series_of("hard N^h(i)", epochs, [](const auto& e) {
                                   return or_nan(e.hard_positive_purity);
                                 })}});
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
  return svg_figure(title, summary(epochs, shown), "epoch", charts);
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
