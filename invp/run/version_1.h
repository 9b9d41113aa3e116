// Checkpoints of version 1, which named and wrote the settings of a run by hand, some under names
// that are no option's.
#pragma once

#include <string>

#include "data/images/augment.h"
#include "invp/run/identity.h"

namespace invp {

/// What they hold as "augmentation".
std::string version_1_augmentation(const AugmentConfig& augment);

/// check_identity for such a checkpoint. Settings that it does not hold pass.
void check_version_1(const Metadata& metadata, const RunIdentity& identity,
                     const std::string& origin);

}  // namespace invp
