// The sections of a report, one source file each. Each function returns the content of its section,
// empty if there is nothing to show, and adds to `missing` what it leaves out and why.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "invp/method/memory_bank.h"
#include "invp/method/neighbor_graph.h"
#include "invp/report/html/detection.h"
#include "invp/report/html/report.h"
#include "invp/report/html/run_files.h"
#include "invp/run/observer.h"

namespace invp {

/// A run and what its folder holds.
struct RunParts {
  const ReportRun* run = nullptr;
  std::size_t number = 0;  ///< decides its color in every chart
  std::vector<EpochReport> epochs;
  std::vector<LayerTable> layers;
  std::vector<PlotPoints> plots;
  std::optional<MemoryBank> bank;        ///< of the last checkpoint, on the host
  std::optional<NeighborGraph> graph;    ///< present if the bank is
  std::string trained_on;                ///< training_images() of the checkpoint; empty: unknown
  std::shared_ptr<const Dataset> train;  ///< null if it cannot be opened
  bool detects = false;                  ///< its folder has detections/
  std::optional<DetectionPart> detection;

  const std::string& name() const { return run->name; }
};

/// What was left out and why, in the order found. Runs that lack the same share a line.
class Missing {
 public:
  void add(const std::string& run, const std::string& what);
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

/// Reads the run's folder. Throws Error if it holds nothing of a run.
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

/// The title of a measure on the page: "top1" -> "Top-1 accuracy". An unknown name is its own
/// title.
std::string measure_title(const std::string& name);

/// A name with the color of a chart's series in front.
std::string color_tag(std::size_t number, const std::string& name);
/// The run's name and color.
std::string run_tag(const RunParts& run);

}  // namespace invp
