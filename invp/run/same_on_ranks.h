// What every rank must have alike, compared.
#pragma once

#include <vector>

#include "engine/comm/communicator.h"

namespace invp {

/// Throws Error on all ranks, naming one that differs from rank 0, unless these have the same bits
/// on all of them. `what`: "weights". A collective call.
void check_same_on_ranks(Communicator& ranks, const char* what, const std::vector<Tensor>& tensors);

}  // namespace invp
