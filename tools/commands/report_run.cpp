#include "tools/commands/report_run.h"

#include <algorithm>

#include "data/detection/detection_set.h"
#include "engine/core/error.h"
#include "engine/core/text.h"
#include "engine/files/atomic_file.h"
#include "tools/options/data_options.h"
#include "tools/options/detect_options.h"
#include "tools/options/objective_options.h"
#include "tools/options/settings.h"

namespace invp::cli {

namespace {

namespace fs = std::filesystem;

/// The last `parts` parts of a path, "." and trailing slashes aside.
std::string tail(const fs::path& path, std::size_t parts) {
  std::vector<std::string> names;
  for (const fs::path& part : fs::absolute(path).lexically_normal()) {
    if (!part.empty() && part != "/") names.push_back(part.string());
  }
  std::string text;
  for (std::size_t i = names.size() - std::min(parts, names.size()); i < names.size(); ++i)
    text += (text.empty() ? "" : "/") + names[i];
  return text;
}

bool all_differ(const std::vector<ReportRun>& runs) {
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (runs[i].name == runs[j].name) return false;
    }
  }
  return true;
}

/// Empty if it is not there.
std::string value_of(const std::vector<Setting>& settings, std::string_view name) {
  const auto found = std::ranges::find(settings, name, &Setting::name);
  return found == settings.end() ? "" : joined(found->values);
}

/// The split that invp detect train judged by.
DetectionSet open_judged(const DataOptions& where, const std::string& asked) {
  const BoxDataOptions data{.path = where.path, .format = where.format};
  const std::string split = data.judging_split(asked.empty() ? "auto" : asked);
  CHECK(!split.empty(), where.path, ": has no split to judge by");
  return open_boxes(where.path, {.format = where.format, .split = split, .pictures = false});
}

/// Reads the settings that the report computes with; it only shows the others.
void understand(ReportRun& run, const std::vector<Setting>& settings, const std::string& data) {
  DataOptions where;
  Options options;
  declare_data(options, where);
  declare_objective(options, run.objective);
  declare_ramp(options, run.objective);
  std::vector<std::string> elsewhere;
  for (const Setting& setting : settings) elsewhere.push_back(setting.name);
  options.apply(settings, elsewhere);
  if (!data.empty()) where.path = data;
  run.open_boxes = [where, split = value_of(settings, "test-split")] {
    return open_judged(where, split);
  };
  run.open = [where](std::string_view split) -> std::shared_ptr<const Dataset> {
    try {
      return open_split(data_source(where), split);
    } catch (const UsageError& error) {
      throw Error(error.what());
    }
  };
}

}  // namespace

ReportRun report_run(const fs::path& folder, const std::string& data) {
  ReportRun run{
      .name = tail(folder, 1), .folder = folder, .settings = {}, .objective = {}, .open = {}};
  const fs::path config = folder / "config.toml";
  if (!fs::exists(config)) return run;
  try {
    const std::vector<Setting> settings = config_settings(config.string());
    understand(run, settings, data);
    for (const Setting& setting : settings)
      run.settings.emplace_back(setting.name, joined(setting.values));
  } catch (const UsageError&) {
    // The report says that there are no settings.
  }
  return run;
}

std::vector<ReportRun> report_runs(const std::vector<std::string>& folders,
                                   const std::string& data) {
  std::vector<ReportRun> runs;
  for (const std::string& folder : folders) runs.push_back(report_run(folder, data));
  constexpr std::size_t kMostParts = 8;
  for (std::size_t parts = 2; !all_differ(runs) && parts <= kMostParts; ++parts) {
    for (ReportRun& run : runs) run.name = tail(run.folder, parts);
  }
  return runs;
}

fs::path write_run_report(const fs::path& folder, const Dataset& train) {
  ReportRun run = report_run(folder);
  const auto reopen = run.open;
  run.open = [&train, reopen](std::string_view split) {
    // Not owned: the caller's data set outlives the report.
    return split == "train" ? std::shared_ptr<const Dataset>(std::shared_ptr<void>(), &train)
                            : reopen(split);
  };
  const fs::path file = folder / "report.html";
  write_file(file, report_html(std::vector{run}));
  return file;
}

}  // namespace invp::cli
