// Places205: scenes, 256 x 256. Zhou et al. 2014, http://places.csail.mit.edu
//   train_places205.csv, val_places205.csv   "PATH LABEL" per line
//   images256/PATH                           such as images256/a/abbey/gsun_0a1b.jpg
// The lists may be in trainvalsplit_places205/, the images below
// data/vision/torralba/deeplearning/, where the archives unpack them.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

#include "data/sets/dataset.h"

namespace invp {

/// The list of "train" or "val" at or below `path`. Nothing if there is none.
std::optional<std::filesystem::path> find_places205(const std::filesystem::path& path,
                                                    std::string_view split);

/// Labels are 0 to 204; a class is named after the folder of its first image, "a/abbey". Throws
/// Error for a missing list, another label, and what open_file_list refuses.
std::unique_ptr<Dataset> open_places205(const std::filesystem::path& path, std::string_view split);

}  // namespace invp
