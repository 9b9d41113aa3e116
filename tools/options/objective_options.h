// --objective, --tau, --neighbors, ...: the options of the InvP objective.
#pragma once

#include "invp/method/objective.h"
#include "tools/options/options.h"

namespace invp::cli {

/// All that one step of the objective depends on.
void declare_objective(Options& options, ObjectiveConfig& objective);
/// When the invariance loss sets in over the epochs.
void declare_ramp(Options& options, ObjectiveConfig& objective);

}  // namespace invp::cli
