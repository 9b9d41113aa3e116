// The picture of a run: losses, accuracy, learning rate and speed over the epochs.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "invp/run/observer.h"

namespace invp {

/// SVG of the run's curves. Charts without any data (no kNN evaluation) are left out. `shown` are
/// the measures of a run that has such.
std::string curves_svg(const std::string& title, const std::vector<EpochReport>& epochs,
                       const std::vector<ShownMeasure>& shown = {});

/// Writes `text` so that a reader of `file` sees the old content or the new, never a part. Throws
/// Error naming the file.
void write_whole(const std::filesystem::path& file, const std::string& text);

}  // namespace invp
