#include "invp/report/html/report.h"

#include <map>

#include "engine/core/error.h"
#include "invp/report/html/html.h"
#include "invp/report/html/sections.h"

namespace invp {

namespace {

struct Section {
  const char* id;
  const char* title;
  std::string inside;
};

std::string title_of(const std::vector<RunParts>& runs) {
  std::string names;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (i > 0) names += i + 1 == runs.size() ? " and " : ", ";
    names += runs[i].name();
  }
  return names;
}

std::string setting(const ReportRun& run, std::string_view name) {
  for (const auto& [key, value] : run.settings) {
    if (key == name) return value;
  }
  return {};
}

/// "Invariance Propagation: resnet18-cifar of width 16 on cifar-10-batches-bin", without the parts
/// that are unknown or differ between the runs.
std::string subtitle_of(std::span<const ReportRun> runs) {
  const auto common = [&](std::string_view name) {
    const std::string first = setting(runs[0], name);
    for (const ReportRun& run : runs) {
      if (setting(run, name) != first) return std::string();
    }
    return first;
  };
  const std::string arch = common("arch");
  const std::string width = common("width");
  std::string text = arch.empty() ? "Invariance Propagation" : "Invariance Propagation: " + arch;
  if (!arch.empty() && !width.empty()) text += " of width " + width;
  if (const std::string data = common("data"); !data.empty()) text += " on " + data;
  if (common("format") == "synthetic") text += " on the synthetic set";
  return text;
}

/// Replaces every {{name}} by its value, in one pass: a value that holds {{name}} stays as it is.
std::string filled(std::string_view page, const std::map<std::string, std::string>& values) {
  std::string out;
  for (std::size_t open = page.find("{{"); open != std::string_view::npos; open = page.find("{{")) {
    const std::size_t close = page.find("}}", open);
    out += page.substr(0, open);
    out += values.at(std::string(page.substr(open + 2, close - open - 2)));
    page.remove_prefix(close + 2);
  }
  return out += page;
}

std::string missing_list(const Missing& missing) {
  if (missing.lines().empty()) return {};
  std::string out = "<h2 id=\"missing\">Not shown, and why</h2>\n<ul>\n";
  for (const std::string& line : missing.lines()) out += "<li>" + html_escaped(line) + "</li>\n";
  return out + "</ul>\n";
}

}  // namespace

std::string report_html(std::span<const ReportRun> runs, const ReportOptions& options) {
  CHECK(!runs.empty(), "[report] there is no run to report on");
  Missing missing;
  std::vector<RunParts> parts;
  for (const ReportRun& run : runs) parts.push_back(read_run(run, parts.size(), missing));
  const std::vector<Section> sections = {
      {"summary", "At a glance", summary_section(parts)},
      {"curves", "Over the epochs", curves_section(parts)},
      {"layers", "Accuracy of each block", layers_section(parts)},
      {"positives", "Discovered positives", positives_section(parts, options, missing)},
      {"nearest", "Nearest neighbors", nearest_section(parts, options)},
      {"tsne", "t-SNE", plots_section(parts, options, missing)},
      {"settings", "Settings", settings_section(parts)}};
  std::string contents;
  std::string body;
  for (const Section& section : sections) {
    if (section.inside.empty()) continue;
    contents += message("<a href=\"#", section.id, "\">", section.title, "</a>\n");
    body += message("<section id=\"", section.id, "\">\n<h2>", section.title, "</h2>\n",
                    section.inside, "</section>\n");
  }
  if (!missing.lines().empty()) contents += "<a href=\"#missing\">Not shown</a>\n";
  return filled(page_html(), {{"title", html_escaped(title_of(parts))},
                              {"subtitle", html_escaped(subtitle_of(runs))},
                              {"style", std::string(page_css())},
                              {"contents", contents},
                              {"sections", body},
                              {"missing", missing_list(missing)},
                              {"script", std::string(page_js())}});
}

}  // namespace invp
