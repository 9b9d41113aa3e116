// Scripts with which a shell completes the program's commands, options and values.
#pragma once

#include <string>
#include <vector>

#include "tools/options/described_command.h"

namespace invp::cli {

std::string bash_completion(const std::vector<DescribedCommand>& commands);
std::string zsh_completion(const std::vector<DescribedCommand>& commands);
std::string fish_completion(const std::vector<DescribedCommand>& commands);

}  // namespace invp::cli
