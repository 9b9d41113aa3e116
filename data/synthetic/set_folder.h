// The folder that a drawn set is written to.
#pragma once

#include <filesystem>

#include "data/synthetic/synthetic.h"

namespace invp {

/// Throws Error if an option is out of range or `dir` is there and not empty.
void check_new_set(const std::filesystem::path& dir, const SynthesizeOptions& options);
/// With its parents. Throws Error naming it.
void make_set_folder(const std::filesystem::path& dir);

}  // namespace invp
