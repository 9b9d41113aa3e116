// Everything of metrics.jsonl over the epochs. One run shows related quantities in one chart,
// several runs one quantity a chart.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include "invp/report/html/html.h"
#include "invp/report/html/sections.h"
#include "invp/report/svg/svg_chart.h"

namespace invp {

namespace {

using Value = std::function<double(const EpochReport&)>;

struct Curve {
  std::string name;   ///< in the legend of a single run
  std::string title;  ///< of its own chart, where there are several runs
  Value value;
};

struct Group {
  std::string title;
  std::string unit;
  std::vector<Curve> curves;
  bool from_zero = false;
  bool mark_highest = false;
};

double or_nan(const std::optional<double>& value) {
  return value.value_or(std::numeric_limits<double>::quiet_NaN());
}

std::vector<Group> fixed_groups() {
  using Epoch = const EpochReport&;
  return {
      {.title = "Loss",
       .unit = "mean of the epoch",
       .curves = {{"total", "Loss", [](Epoch e) { return e.loss; }},
                  {"instance", "Instance loss", [](Epoch e) { return or_nan(e.loss_ins); }},
                  {"invariance", "Invariance loss", [](Epoch e) { return or_nan(e.loss_inv); }}}},
      {.title = "Weighted kNN",
       .unit = "per cent of the validation split",
       .curves = {{"top-1", "kNN top-1", [](Epoch e) { return or_nan(e.knn_top1); }},
                  {"top-5", "kNN top-5", [](Epoch e) { return or_nan(e.knn_top5); }}},
       .mark_highest = true},
      {.title = "Purity of positives",
       .unit = "same class, per cent",
       .curves = {{"N(i)", "Purity of N(i)", [](Epoch e) { return or_nan(e.positive_purity); }},
                  {"hard ones", "Purity of hard positives",
                   [](Epoch e) { return or_nan(e.hard_positive_purity); }}}},
      {.title = "Learning rate",
       .unit = "",
       .curves = {{"rate", "Learning rate", [](Epoch e) { return e.learning_rate; }}},
       .from_zero = true},
      {.title = "Speed",
       .unit = "images a second",
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

/// What other protocols measure, by name; the 17 losses of a linear run share a chart.
std::vector<Group> measured_groups(const std::vector<RunParts>& runs) {
  std::vector<std::string> names;
  for (const RunParts& run : runs) {
    for (const EpochReport& epoch : run.epochs) {
      for (const Measure& measure : epoch.measures) {
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
    group->curves.push_back({name, measure_title(name), [name](const EpochReport& epoch) {
                               const double* value = find_measure(epoch.measures, name);
                               return value ? *value : std::numeric_limits<double>::quiet_NaN();
                             }});
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
  std::vector<Group> groups = fixed_groups();
  for (Group& group : measured_groups(runs)) groups.push_back(std::move(group));
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
