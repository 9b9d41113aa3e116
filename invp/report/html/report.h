// `invp report`: what one run or several came to, as one HTML file that asks nothing of a network.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/sets/dataset.h"
#include "invp/method/objective.h"

namespace invp {

/// A run to report on. Everything else is read from its folder: metrics.jsonl, the bank and the
/// graph of checkpoints/last.safetensors, and layers.csv and points.safetensors in or under it.
struct ReportRun {
  std::string name;  ///< heads its column
  std::filesystem::path folder;
  std::vector<std::pair<std::string, std::string>> settings;  ///< empty: not known
  ObjectiveConfig objective;
  /// Opens a split of its data set; throws Error saying why it cannot.
  std::function<std::shared_ptr<const Dataset>(std::string_view split)> open;
};

struct ReportOptions {
  int anchors = 6;                   ///< sample images, spread evenly over the training set
  int nearest = 12;                  ///< neighbors shown of each
  std::int64_t most_tiles = 10'000;  ///< pictures of t-SNE points; more points have none
  std::int64_t most_members = 160;   ///< positives shown of an anchor
};

/// The page. What a run lacks is left out, and one line at the end of the page says so. Throws
/// Error when there is no run, or when a folder holds nothing of one.
std::string report_html(std::span<const ReportRun> runs, const ReportOptions& options = {});

}  // namespace invp
