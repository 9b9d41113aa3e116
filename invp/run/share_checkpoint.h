// What rank 0 goes on from, on all ranks: it alone reads the file.
#pragma once

#include <optional>

#include "engine/comm/communicator.h"
#include "invp/run/checkpoint.h"

namespace invp {

/// That of rank 0. A collective call.
std::optional<Checkpoint> share_checkpoint(Communicator& ranks, std::optional<Checkpoint> of_first);

}  // namespace invp
