// Street View House Numbers, cropped digits: train_32x32.mat, test_32x32.mat, extra_32x32.mat.
// http://ufldl.stanford.edu/housenumbers
#pragma once

#include <filesystem>
#include <memory>

#include "data/sets/dataset.h"

namespace invp {

/// Labels are the digits; 10, which stands for zero, becomes 0. Throws Error for a damaged file and
/// one whose X and y are not images of 32 x 32 with a digit each.
std::unique_ptr<Dataset> open_svhn(const std::filesystem::path& mat_file);

}  // namespace invp
