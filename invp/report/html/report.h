// `invp report`: the results of one run or several as one HTML file, which needs no network.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/detection/detection_set.h"
#include "data/sets/dataset.h"
#include "invp/method/objective.h"

namespace invp {

/// A run to report on. The rest is read from its folder: metrics.jsonl, bank and graph of
/// checkpoints/last.safetensors, and detections/, and layers.csv and points.safetensors in
/// it or below it.
struct ReportRun {
  std::string name;  ///< the heading of its column
  std::filesystem::path folder;
  std::vector<std::pair<std::string, std::string>> settings;  ///< empty: unknown
  ObjectiveConfig objective;
  /// Opens a split of its data set, or throws Error with the reason.
  std::function<std::shared_ptr<const Dataset>(std::string_view split)> open = {};
  /// Of a run that trains a detector: opens the set that its detections are judged by.
  std::function<DetectionSet()> open_boxes = {};
};

struct ReportOptions {
  int anchors = 6;                   ///< sample images, spread evenly over the training set
  int nearest = 12;                  ///< neighbors shown for each
  std::int64_t most_tiles = 10'000;  ///< a t-SNE map of more points has no pictures
  std::int64_t most_members = 160;   ///< positives shown for an anchor
};

/// The page. What a run lacks is left out, and listed at the end of the page with the reason.
/// Throws Error if there is no run, or if a folder holds nothing of a run.
std::string report_html(std::span<const ReportRun> runs, const ReportOptions& options = {});

}  // namespace invp
