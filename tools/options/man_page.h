// Manual pages in the form of man(7), from the same declarations as --help.
#pragma once

#include <string>
#include <vector>

#include "tools/options/described_command.h"

namespace invp::cli {

/// "invp-data-info" of "data info": `man invp data info` finds it.
std::string man_name(const DescribedCommand& command);
/// The page of one command.
std::string man_page(const DescribedCommand& command, const std::string& version);
/// The page of the program: what it is, and the list of its commands.
std::string man_overview(const std::vector<DescribedCommand>& commands, const std::string& version);

}  // namespace invp::cli
