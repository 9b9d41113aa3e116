// What decides the weights of a run. It goes into every checkpoint, and a run with other settings
// is refused when it is resumed from one.
#pragma once

#include "invp/checkpoint.h"
#include "invp/pretrain.h"

namespace invp {

/// Values by the names of their options.
RunIdentity identity_of(const PretrainConfig& config, const Dataset& train);

}  // namespace invp
