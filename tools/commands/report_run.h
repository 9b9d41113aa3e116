// Run folders as `invp report` and the end of a run see them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "invp/report/html/report.h"

namespace invp::cli {

/// The run of a folder, its settings and data set as its config.toml has them; `data`, if not
/// empty, is where its images are now. A config.toml that is missing or broken leaves the settings
/// empty.
ReportRun report_run(const std::filesystem::path& folder, const std::string& data = {});

/// The same for several, each with a name of its own: the folder's, with as much of its path as it
/// takes to tell them apart.
std::vector<ReportRun> report_runs(const std::vector<std::string>& folders,
                                   const std::string& data = {});

/// Writes FOLDER/report.html and returns its path. `train` is its training set, open already.
std::filesystem::path write_run_report(const std::filesystem::path& folder, const Dataset& train);

}  // namespace invp::cli
