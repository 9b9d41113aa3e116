#include "invp/report/svg/curves.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <iterator>
#include <limits>

#include "engine/core/error.h"
#include "engine/core/memory.h"
#include "engine/core/text.h"
#include "invp/report/svg/svg_chart.h"
#include "invp/run/measures.h"

namespace invp {

namespace {

/// The epochs of a run, or of one that is told in steps its reports.
struct Run {
  const std::vector<EpochReport>& epochs;
  bool in_steps;
};

Series series_of(const std::string& name, const Run& run, const auto& value) {
  Series series{name, {}};
  for (const EpochReport& epoch : run.epochs) {
    series.points.emplace_back(static_cast<double>(run.in_steps ? epoch.global_step : epoch.epoch),
                               value(epoch));
  }
  return series;
}

/// Over the epochs that have it: a run may be judged now and then.
Series series_of(const ShownMeasure& measure, const Run& run) {
  std::vector<EpochReport> judged;
  std::ranges::copy_if(run.epochs, std::back_inserter(judged), [&](const EpochReport& epoch) {
    return find_measure(epoch.measures, measure.name) != nullptr;
  });
  return series_of(measure.legend.empty() ? measure.heading : measure.legend,
                   Run{judged, run.in_steps},
                   [&](const auto& e) { return measure_or_nan(e.measures, measure.name); });
}

/// "Top-1 accuracy" within a sentence; "AP50" stays.
std::string in_a_sentence(std::string title) {
  const auto is_upper = [](char c) { return std::isupper(static_cast<unsigned char>(c)) != 0; };
  if (title.size() > 1 && is_upper(title[1])) return title;
  title[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(title[0])));
  return title;
}

std::string summary(const Run& run, const std::vector<ShownMeasure>& shown) {
  const std::vector<EpochReport>& epochs = run.epochs;
  if (epochs.empty()) return "no epoch finished yet";
  const auto percentage =
      std::ranges::find_if(shown, [](const auto& m) { return m.chart != "Loss"; });
  double seconds = 0;
  double best = -1;
  for (const EpochReport& epoch : epochs) {
    seconds += std::isfinite(epoch.seconds) ? epoch.seconds : 0;
    if (percentage == shown.end()) continue;
    const double value = measure_or_nan(epoch.measures, percentage->name);
    if (value > best) best = value;
  }
  std::string text = (run.in_steps ? counted(epochs.back().global_step, "step")
                                   : counted(epochs.back().epoch, "epoch")) +
                     ", " + format_duration(seconds) + " of training";
  if (best >= 0) text += ", best " + in_a_sentence(percentage->title) + formatted(" %.1f %%", best);
  return text + ", peak memory " + format_bytes(epochs.back().peak_memory_bytes);
}

/// One chart per group of measures, in the order of measure_charts(); those that no epoch has are
/// left out.
std::vector<Chart> measured_charts(const Run& run, const std::vector<ShownMeasure>& shown) {
  std::vector<Chart> charts;
  for (const MeasureChart& words : measure_charts()) {
    Chart chart{.title = std::string(words.title),
                .unit = std::string(words.unit),
                .series = {},
                .mark_highest = words.mark_highest};
    if (words.title == "Loss")
      chart.series.push_back(series_of("total", run, [](const auto& e) { return e.loss; }));
    for (const ShownMeasure& measure : shown) {
      if (!measure.in_curves || measure.chart != words.title) continue;
      if (Series series = series_of(measure, run); !series.points.empty())
        chart.series.push_back(std::move(series));
    }
    if (!chart.series.empty()) charts.push_back(std::move(chart));
  }
  return charts;
}

}  // namespace

std::string curves_svg(const std::string& title, const std::vector<EpochReport>& epochs,
                       const std::vector<ShownMeasure>& shown, bool in_steps) {
  const Run run{epochs, in_steps};
  std::vector<Chart> charts = measured_charts(run, shown);
  charts.push_back(
      {.title = "Learning rate",
       .unit = "",
       .series = {series_of("rate", run, [](const auto& e) { return e.learning_rate; })},
       .from_zero = true});
  charts.push_back(
      {.title = "Speed",
       .unit = "images per second",
       .series = {series_of("speed", run, [](const auto& e) { return e.images_per_second; })},
       .from_zero = true});
  return svg_figure(title, summary(run, shown), in_steps ? "step" : "epoch", charts);
}

}  // namespace invp
