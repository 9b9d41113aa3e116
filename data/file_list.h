// A text file with a line "PATH,LABEL" or "PATH LABEL" for each picture (Places205, Stanford Cars).
#pragma once

#include <filesystem>
#include <memory>

#include "data/dataset.h"

namespace invp {

/// The label is the whole number after the last comma, space or tab, from 0; paths are relative to
/// `root`. Blank lines are skipped and either line end is taken. Throws naming the line that is
/// wrong, and when the first picture is not where its path says.
std::unique_ptr<Dataset> open_file_list(const std::filesystem::path& list,
                                        const std::filesystem::path& root);

}  // namespace invp
