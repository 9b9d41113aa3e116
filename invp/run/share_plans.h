// Which algorithms a GPU's libraries take: on all ranks those of rank 0.
#pragma once

#include <filesystem>

#include "engine/comm/communicator.h"

namespace invp {

/// Before any work on a GPU, on all ranks: rank 0 reads `file`, the run's, and the user's own, and
/// tells the others what they hold (engine/plans/plan_file.h). Only rank 0 writes the run's file.
/// One rank measures what it does not know; several take the libraries' first choice.
void share_plans(Communicator& ranks, const std::filesystem::path& file);

}  // namespace invp
