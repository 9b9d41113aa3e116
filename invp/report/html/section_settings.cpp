// Every setting of the runs, with those that differ first.
#include <algorithm>
#include <span>

#include "engine/core/error.h"
#include "invp/report/html/html.h"
#include "invp/report/html/sections.h"

namespace invp {

namespace {

std::string heading(const std::vector<RunParts>& runs) {
  std::string out = "<tr><td></td>";
  for (const RunParts& run : runs) out += "<th scope=\"col\">" + run_tag(run) + "</th>";
  return out + "</tr>\n";
}

std::string value_of(const RunParts& run, const std::string& name) {
  for (const auto& [key, value] : run.run->settings) {
    if (key == name) return value;
  }
  return {};
}

}  // namespace

std::string settings_section(const std::vector<RunParts>& runs) {
  std::vector<std::string> names;
  for (const RunParts& run : runs) {
    for (const auto& [name, value] : run.run->settings) {
      // Every run has its own folder, which is no difference worth showing.
      const bool told = runs.size() > 1 && name == "out";
      if (!told && std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
  }
  if (names.empty()) return {};
  std::string differing;
  std::string common;
  std::int64_t differences = 0;
  for (const std::string& name : names) {
    const std::string first = value_of(runs[0], name);
    const bool differs = std::ranges::any_of(
        runs, [&](const RunParts& run) { return value_of(run, name) != first; });
    std::string row = message(differs ? "<tr class=\"differs\">" : "<tr>", "<th scope=\"row\">",
                              html_escaped(name), "</th>");
    for (const RunParts& run : std::span(runs).first(differs ? runs.size() : 1)) {
      const std::string value = value_of(run, name);
      row += "<td>" + (value.empty() ? "–" : html_escaped(value)) + "</td>";
    }
    (differs ? differing : common) += row + "</tr>\n";
    differences += differs ? 1 : 0;
  }
  std::string out;
  if (runs.size() > 1) {
    out += differences == 0 ? "<p>The runs have the same settings.</p>\n"
                            : message("<p>", counted(differences, "setting"),
                                      differences == 1 ? " differs:" : " differ:", "</p>\n");
    if (differences > 0)
      out += "<div class=\"wide\"><table>\n" + heading(runs) + differing + "</table></div>\n";
  }
  if (!common.empty()) {
    out +=
        message("<details><summary>", runs.size() > 1 ? "Settings in common" : "All settings",
                "</summary>\n<div class=\"wide\"><table>\n", common, "</table></div></details>\n");
  }
  return out;
}

}  // namespace invp
