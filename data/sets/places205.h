// Places205: scenes, 256 x 256. Zhou et al. 2014, http://places.csail.mit.edu
//   train_places205.csv, val_places205.csv   "PATH LABEL" a line, separated by one space
//   images256/PATH                           such as images256/a/abbey/gsun_0a1b.jpg
// The lists may lie in trainvalsplit_places205/, the pictures where the archive put them, below
// data/vision/torralba/deeplearning/.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

#include "data/sets/dataset.h"

namespace invp {

/// The list of "train" or "val" at or below `path`. Nothing when there is none.
std::optional<std::filesystem::path> find_places205(const std::filesystem::path& path,
                                                    std::string_view split);

/// Labels are 0 to 204; a class is named after the folder of its first picture, "a/abbey". Throws
/// Error when the list is missing, and for the faults of open_file_list.
std::unique_ptr<Dataset> open_places205(const std::filesystem::path& path, std::string_view split);

}  // namespace invp
