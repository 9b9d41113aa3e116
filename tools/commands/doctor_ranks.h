// The section Ranks of invp doctor.
#pragma once

#include "tools/options/command.h"

namespace invp::cli {

/// Prints what several processes of this program would find here, and adds it to the results.
void print_ranks(Results& results);

}  // namespace invp::cli
