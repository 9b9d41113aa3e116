// Reading an image from a disk or a server that may be away for a moment.
#pragma once

#include <chrono>
#include <cstdint>

#include "data/sets/dataset.h"

namespace invp {

/// How long a machine that cannot read is given to recover.
constexpr std::chrono::milliseconds kPatience{8'000};

/// Dataset::fetch(). Where the machine is at fault (SystemError) and may recover, it tries again,
/// after pauses that double, until about `patience` has passed; the error then says so. Throws
/// Stopped if a stop is asked for in a pause. An image that is broken is not tried again.
void fetch_patiently(const Dataset& dataset, std::int64_t index, Sample& sample,
                     std::chrono::milliseconds patience = kPatience);

}  // namespace invp
