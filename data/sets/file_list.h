// Sets whose files and labels are listed in a file; and the common form of such a list, a line
// "PATH,LABEL" or "PATH LABEL" per image.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/sets/dataset.h"

namespace invp {

struct FileList {
  std::vector<std::string> paths;  ///< relative to a root that the caller knows
  std::vector<std::int32_t> labels;
};

/// The label is the whole number after the last comma, space or tab, from 0. Blank lines are
/// skipped. Throws Error naming the line that is wrong, and for a list without lines.
FileList read_file_list(const std::filesystem::path& list);

/// The files below `root` as a data set. Throws Error if there are none or the first is missing;
/// `list` is the file that names them.
std::unique_ptr<Dataset> listed_files(std::string kind, const std::filesystem::path& root,
                                      FileList files, std::vector<std::string> classes,
                                      const std::filesystem::path& list);

/// A list as a data set, with as many classes as its largest label says.
std::unique_ptr<Dataset> open_file_list(const std::filesystem::path& list,
                                        const std::filesystem::path& root);

}  // namespace invp
