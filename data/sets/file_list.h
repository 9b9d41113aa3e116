// A text file with a line "PATH,LABEL" or "PATH LABEL" for each picture (Places205, Stanford Cars).
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/sets/dataset.h"

namespace invp {

struct FileList {
  std::vector<std::string> paths;
  std::vector<std::int32_t> labels;
};

/// The label is the whole number after the last comma, space or tab, from 0; paths are relative to
/// `root`. Blank lines are skipped and either line end is taken. Throws naming the line that is
/// wrong, and when the first picture is not where its path says.
FileList read_file_list(const std::filesystem::path& list, const std::filesystem::path& root);
/// The same as a data set, of as many classes as the largest label says.
std::unique_ptr<Dataset> open_file_list(const std::filesystem::path& list,
                                        const std::filesystem::path& root);

}  // namespace invp
