// The synthetic set as a Dataset: fetch() draws the image.
#pragma once

#include <cstdint>
#include <memory>

#include "data/sets/dataset.h"
#include "data/synthetic/synthetic.h"

namespace invp {

/// `count` images of a split. Throws Error for options out of range.
std::unique_ptr<Dataset> open_synthetic(const SyntheticOptions& options, SyntheticSplit split,
                                        std::int64_t count);

}  // namespace invp
