// The parts of a report, one source file each. Each returns the inside of its section, empty where
// there is nothing to show, and says in `missing` what was left out and why.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/core/tensor.h"
#include "invp/report/html/report.h"
#include "invp/report/html/run_files.h"
#include "invp/run/observer.h"

namespace invp {

/// A run with what was found of it. The number is its color, in every chart.
struct RunParts {
  const ReportRun* run = nullptr;
  std::size_t number = 0;
  std::vector<EpochReport> epochs;
  std::vector<LayerTable> layers;
  std::vector<PlotPoints> plots;
  Tensor bank;                           ///< (n, d), undefined where there is none
  Tensor neighbors;                      ///< (n, k) i32
  std::shared_ptr<const Dataset> train;  ///< null where it cannot be opened

  const std::string& name() const { return run->name; }
};

/// What was left out and why, in the order in which it was found; runs that lack the same share a
/// line.
class Missing {
 public:
  void add(const RunParts& run, const std::string& what);
  /// "first, second: no t-SNE, ..."
  std::vector<std::string> lines() const;

 private:
  struct Line {
    std::string runs;
    std::string what;
  };
  std::vector<Line> lines_;
};

/// Reads what the folder holds.
RunParts read_run(const ReportRun& run, std::size_t number, Missing& missing);

std::string summary_section(const std::vector<RunParts>& runs);
std::string curves_section(const std::vector<RunParts>& runs);
std::string layers_section(const std::vector<RunParts>& runs);
std::string plots_section(const std::vector<RunParts>& runs, const ReportOptions& options,
                          Missing& missing);
std::string nearest_section(const std::vector<RunParts>& runs, const ReportOptions& options);
std::string positives_section(const std::vector<RunParts>& runs, const ReportOptions& options,
                              Missing& missing);
std::string settings_section(const std::vector<RunParts>& runs);

/// What a measure's name in a file is called on the page: "top1" -> "Top-1 accuracy".
std::string measure_title(const std::string& name);

/// A name with a color of the charts before it.
std::string color_tag(std::size_t number, const std::string& name);
/// The run's.
std::string run_tag(const RunParts& run);

}  // namespace invp
