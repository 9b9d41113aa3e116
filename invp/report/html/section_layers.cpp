// Accuracy against block (supplement, Figure 1), and its table.
#include <algorithm>
#include <cmath>

#include "engine/core/error.h"
#include "invp/report/html/html.h"
#include "invp/report/html/sections.h"
#include "invp/report/svg/svg_chart.h"
#include "invp/run/measures.h"

namespace invp {

namespace {

struct Entry {
  const RunParts* run;
  const LayerTable* table;
};

/// "run", or "run/linear" for a table in the folder linear.
std::string label_of(const Entry& entry) {
  const auto under =
      entry.table->file.parent_path().lexically_relative(entry.run->run->folder).string();
  return under.empty() || under == "." ? entry.run->name() : entry.run->name() + "/" + under;
}

Series series_of(const LayerTable& table, std::size_t measure, const std::string& name) {
  Series series{name, {}};
  for (const LayerTable::Row& row : table.rows)
    series.points.emplace_back(static_cast<double>(row.tap), row.values[measure]);
  std::ranges::sort(series.points);
  return series;
}

std::string table_of(const Entry& entry) {
  std::string out =
      "<details><summary>" + html_escaped(label_of(entry)) + ": every block</summary>\n";
  out +=
      "<div class=\"wide\"><table class=\"numbers\">\n<tr><th>tap</th><th>block</th><th>dims</th>";
  for (const std::string& measure : entry.table->measures)
    out += "<th>" + html_escaped(measure) + "</th>";
  out += "</tr>\n";
  for (const LayerTable::Row& row : entry.table->rows) {
    out += message("<tr><td>", row.tap, "</td><td>", html_escaped(row.block), "</td><td>", row.dims,
                   "</td>");
    for (const double value : row.values)
      out += "<td>" + (std::isfinite(value) ? formatted("%.2f", value) : "–") + "</td>";
    out += "</tr>\n";
  }
  return out + "</table></div></details>\n";
}

}  // namespace

std::string measure_title(const std::string& name) {
  const ShownMeasure* const known = find_known(name);
  return known == nullptr ? name : known->title;
}

std::string layers_section(const std::vector<RunParts>& runs) {
  std::vector<Entry> entries;
  for (const RunParts& run : runs) {
    for (const LayerTable& table : run.layers) entries.push_back({&run, &table});
  }
  if (entries.empty()) return {};
  // One chart per measure, in the order in which the tables have them.
  std::vector<std::string> measures;
  for (const Entry& entry : entries) {
    for (const std::string& measure : entry.table->measures) {
      if (std::ranges::find(measures, measure) == measures.end()) measures.push_back(measure);
    }
  }
  std::string out;
  if (entries.size() > 1) {
    out += "<p class=\"names\">\n";
    for (std::size_t i = 0; i < entries.size(); ++i) out += color_tag(i, label_of(entries[i]));
    out += "</p>\n";
  }
  out += "<div class=\"charts\">\n";
  for (const std::string& measure : measures) {
    Chart chart{
        .title = measure_title(measure), .unit = "per cent, linear classifier", .series = {}};
    for (const Entry& entry : entries) {
      const auto& own = entry.table->measures;
      const auto at = std::ranges::find(own, measure);
      chart.series.push_back(at == own.end()
                                 ? Series{label_of(entry), {}}
                                 : series_of(*entry.table, at - own.begin(), label_of(entry)));
    }
    chart.mark_highest = entries.size() == 1;
    chart.legend = false;
    out += svg_panel(chart, "block");
  }
  out += "</div>\n";
  for (const Entry& entry : entries) out += table_of(entry);
  return out;
}

}  // namespace invp
