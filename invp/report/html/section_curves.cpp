// All values of metrics.jsonl over the epochs. For one run, related values share a chart; for
// several runs, each chart shows one value.
#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>

#include "invp/report/html/html.h"
#include "invp/report/html/sections.h"
#include "invp/report/svg/svg_chart.h"
#include "invp/run/measures.h"

namespace invp {

namespace {

using Value = std::function<double(const EpochReport&)>;

struct Curve {
  std::string name;   ///< in the legend of a single run
  std::string title;  ///< of its own chart, if there are several runs
  Value value;
};

struct Group {
  std::string title;
  std::string unit;
  std::vector<Curve> curves;
  bool from_zero = false;
  bool mark_highest = false;
};

Value value_of(const std::string& name) {
  return [name](const EpochReport& epoch) { return measure_or_nan(epoch.measures, name); };
}

/// The accuracies of protocols share no chart: each has its own.
bool stands_alone(std::string_view chart) {
  return chart == "Accuracy";
}

std::vector<Group> known_groups() {
  std::vector<Group> groups;
  for (const MeasureChart& chart : measure_charts()) {
    if (stands_alone(chart.title)) continue;
    Group& group = groups.emplace_back(Group{.title = std::string(chart.title),
                                             .unit = std::string(chart.unit),
                                             .curves = {},
                                             .mark_highest = chart.mark_highest});
    for (const ShownMeasure& known : known_measures()) {
      if (known.chart != chart.title) continue;
      group.curves.push_back({known.legend, known.title,
                              known.name == "loss" ? [](const EpochReport& e) { return e.loss; }
                                                   : value_of(known.name)});
    }
  }
  return groups;
}

std::vector<Group> field_groups() {
  using Epoch = const EpochReport&;
  return {{.title = "Learning rate",
           .unit = "",
           .curves = {{"rate", "Learning rate", [](Epoch e) { return e.learning_rate; }}},
           .from_zero = true},
          {.title = "Speed",
           .unit = "images per second",
           .curves = {{"speed", "Speed", [](Epoch e) { return e.images_per_second; }}},
           .from_zero = true},
          {.title = "Waiting for images",
           .unit = "per cent of the epoch's time",
           .curves = {{"wait", "Waiting for images", [](Epoch e) { return 100 * e.data_wait; }}},
           .from_zero = true},
          {.title = "Peak memory",
           .unit = "GB",
           .curves = {{"memory", "Peak memory",
                       [](Epoch e) { return static_cast<double>(e.peak_memory_bytes) / 1e9; }}},
           .from_zero = true}};
}

/// The other measures. Those of the taps of a linear run ("loss_tap3") share a chart.
std::vector<Group> measured_groups(const std::vector<RunParts>& runs) {
  std::vector<std::string> names;
  for (const RunParts& run : runs) {
    for (const EpochReport& epoch : run.epochs) {
      for (const Measure& measure : epoch.measures) {
        const ShownMeasure* const known = find_known(measure.name);
        if (known != nullptr && !stands_alone(known->chart)) continue;
        if (std::ranges::find(names, measure.name) == names.end()) names.push_back(measure.name);
      }
    }
  }
  std::vector<Group> groups;
  for (const std::string& name : names) {
    const std::string kind = measure_title(name.substr(0, name.find("_tap")));
    auto group = std::ranges::find(groups, kind, &Group::title);
    if (group == groups.end()) {
      groups.push_back({.title = kind, .unit = "", .curves = {}});
      group = std::prev(groups.end());
    }
    group->curves.push_back({name, measure_title(name), value_of(name)});
  }
  return groups;
}

Series series_of(const RunParts& run, const std::string& name, const Value& value) {
  Series series{name, {}};
  for (const EpochReport& epoch : run.epochs)
    series.points.emplace_back(static_cast<double>(epoch.epoch), value(epoch));
  return series;
}

bool has_points(const Series& series) {
  return std::ranges::any_of(series.points, [](const auto& p) { return std::isfinite(p.second); });
}

void add_chart(std::string& out, Chart chart) {
  if (!std::ranges::any_of(chart.series, has_points)) return;
  chart.legend = chart.legend && chart.series.size() <= 4;
  out += svg_panel(chart, "epoch");
}

}  // namespace

std::string curves_section(const std::vector<RunParts>& runs) {
  std::vector<Group> groups = known_groups();
  std::ranges::move(field_groups(), std::back_inserter(groups));
  std::ranges::move(measured_groups(runs), std::back_inserter(groups));
  std::string out;
  for (const Group& group : groups) {
    if (runs.size() == 1) {
      Chart chart{.title = group.title,
                  .unit = group.unit,
                  .series = {},
                  .from_zero = group.from_zero,
                  .mark_highest = group.mark_highest};
      for (const Curve& curve : group.curves) {
        Series series = series_of(runs[0], curve.name, curve.value);
        if (has_points(series)) chart.series.push_back(std::move(series));
      }
      add_chart(out, std::move(chart));
      continue;
    }
    for (const Curve& curve : group.curves) {
      Chart chart{.title = curve.title,
                  .unit = group.unit,
                  .series = {},
                  .from_zero = group.from_zero,
                  .legend = false};
      for (const RunParts& run : runs)
        chart.series.push_back(series_of(run, run.name(), curve.value));
      add_chart(out, std::move(chart));
    }
  }
  if (out.empty()) return out;
  std::string legend;
  for (const RunParts& run : runs) legend += run_tag(run);
  return (runs.size() > 1 ? "<p class=\"names\">\n" + legend + "</p>\n" : "") +
         "<div class=\"charts\">\n" + out + "</div>\n";
}

}  // namespace invp
