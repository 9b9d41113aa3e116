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
  /// Sorted, if the labels are names; empty if they are numbers, or if there are none.
  std::vector<std::string> names;
};

/// The label is what follows the last comma, space or tab. If the first is a whole number, all are,
/// from 0 to 999,999; otherwise all are names of classes. Lines that are a path alone, which ends
/// like that of an image, have the label -1; then all lines do. Path and label may stand in double
/// quotes, in which "" is one; paths may hold blanks and commas without them too. Skipped are blank
/// lines, lines that begin with '#', and a first line that is a header: it names no file below
/// `root`, and its label is a word like "label" or another kind of label than that of the second
/// line.
///
/// Throws Error naming the line that is wrong, and for a list without lines.
FileList read_file_list(const std::filesystem::path& list, const std::filesystem::path& root);

/// The files below `root` as a data set. Throws Error if there are none or the first is missing;
/// `list` is the file that names them.
std::unique_ptr<Dataset> listed_files(std::string kind, const std::filesystem::path& root,
                                      FileList files, std::vector<std::string> classes,
                                      const std::filesystem::path& list);

/// A list as a data set. Its classes are the names, or as many numbers as the largest label says.
std::unique_ptr<Dataset> open_file_list(const std::filesystem::path& list,
                                        const std::filesystem::path& root);

}  // namespace invp
