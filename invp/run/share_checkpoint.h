// What rank 0 goes on from, on all ranks: it alone reads the file.
#pragma once

#include <optional>

#include "engine/comm/communicator.h"
#include "invp/run/checkpoint.h"
#include "invp/run/spread_rows.h"

namespace invp {

/// That of rank 0. Of `spread`, null for none, each other rank gets the rows that it keeps. A
/// collective call.
std::optional<Checkpoint> share_checkpoint(Communicator& ranks, std::optional<Checkpoint> of_first,
                                           const SpreadRows* spread);
/// The same checkpoint with this rank's rows in place of all of them.
Checkpoint with_own_rows(const Checkpoint& checkpoint, const SpreadRows* spread);

}  // namespace invp
