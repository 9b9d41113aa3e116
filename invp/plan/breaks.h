// At what sizes something breaks.
#pragma once

#include <vector>

#include "invp/plan/plan.h"

namespace invp {

/// GPUs that the bank is parted over.
std::int64_t bank_shards(const PlanSettings& settings);

/// Of a plan whose other figures are there.
std::vector<Break> breaks_of(const PlanSettings& settings, const Plan& plan);

}  // namespace invp
