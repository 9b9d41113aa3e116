// What decides the weights of a run. It goes into every checkpoint, and a run with other settings
// is refused when it is resumed from one.
#pragma once

#include "invp/method/pretrain.h"
#include "invp/run/checkpoint.h"

namespace invp {

/// All of a pipeline, in words.
std::string describe(const AugmentConfig& augment);
/// "fp32", "tf32" or "bf16".
std::string describe_precision(DType compute_type, Device device);

/// Values by the names of their options.
RunIdentity identity_of(const PretrainConfig& config, const Dataset& train);

}  // namespace invp
