// The synthetic set as a data set: pictures are drawn when they are wanted.
#pragma once

#include <cstdint>
#include <memory>

#include "data/sets/dataset.h"
#include "data/synthetic/synthetic.h"

namespace invp {

/// `count` pictures of a split. Throws Error for options out of range.
std::unique_ptr<Dataset> open_synthetic(const SyntheticOptions& options, SyntheticSplit split,
                                        std::int64_t count);

}  // namespace invp
