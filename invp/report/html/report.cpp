#include "invp/report/html/report.h"

#include "engine/core/error.h"
#include "invp/report/html/html.h"
#include "invp/report/html/sections.h"
#include "invp/report/html/whole_page.h"

namespace invp {

namespace {

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
  // What the options of invp detect train alone have.
  if (!common("rpn-samples").empty()) {
    const std::string of = common("data");
    return "Object detection: Faster R-CNN R50-C4" + (of.empty() ? "" : " on " + of);
  }
  std::string text = arch.empty() ? "Invariance Propagation" : "Invariance Propagation: " + arch;
  if (!arch.empty() && !width.empty()) text += " of width " + width;
  if (const std::string data = common("data"); !data.empty()) text += " on " + data;
  if (common("format") == "synthetic") text += " on the synthetic set";
  return text;
}

}  // namespace

std::string report_html(std::span<const ReportRun> runs, const ReportOptions& options) {
  CHECK(!runs.empty(), "[report] there is no run to report on");
  Missing missing;
  std::vector<RunParts> parts;
  for (const ReportRun& run : runs) parts.push_back(read_run(run, parts.size(), missing));
  Page page{.title = title_of(parts),
            .subtitle = subtitle_of(runs),
            .sections = {{"summary", "At a glance", summary_section(parts)},
                         {"curves", "Over the epochs", curves_section(parts)},
                         {"layers", "Accuracy of each block", layers_section(parts)},
                         {"positives", "Discovered positives",
                          positives_section(parts, options, missing)},
                         {"nearest", "Nearest neighbors", nearest_section(parts, options)},
                         {"tsne", "t-SNE", plots_section(parts, options, missing)}},
            .missing = {},
            .made_by = "invp report"};
  std::vector<DetectionPart> found;
  for (RunParts& run : parts) {
    if (run.detection) found.push_back(std::move(*run.detection));
  }
  for (PageSection& section : detection_sections(found, {}, missing))
    page.sections.push_back(std::move(section));
  page.sections.push_back({"settings", "Settings", settings_section(parts)});
  page.missing = missing.lines();
  return page_of(page);
}

}  // namespace invp
