// What a report needs to know of a run folder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "invp/report/html/report.h"

namespace invp::cli {

/// The run in a folder, with the settings and the data set of its config.toml. `data`, if not
/// empty, is where its images are now. Without a readable config.toml the settings are empty.
ReportRun report_run(const std::filesystem::path& folder, const std::string& data = {});

/// The same for several folders. Each gets a name of its own: the folder's name, after as many
/// parent folders as the names need to differ.
std::vector<ReportRun> report_runs(const std::vector<std::string>& folders,
                                   const std::string& data = {});

/// Writes FOLDER/report.html and returns its path. `train` is the training set of the run.
std::filesystem::path write_run_report(const std::filesystem::path& folder, const Dataset& train);

}  // namespace invp::cli
