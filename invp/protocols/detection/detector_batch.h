// From the loader's groups of pictures to what a detector looks at.
#pragma once

#include <vector>

#include "data/load/boxed_pictures.h"
#include "layers/detection/detector_input.h"

namespace invp {

/// Everything is copied to `device`; one group's pictures are not copied if they are there.
DetectorInput detector_input(const std::vector<BoxedGroup>& groups, const GroupNorms& norms,
                             Device device);

}  // namespace invp
