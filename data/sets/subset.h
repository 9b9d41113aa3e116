// Some images of a set: the labeled share of semi-supervised learning, or one side of a split that
// we draw.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "data/sets/dataset.h"

namespace invp {

/// The images at `indices` of a set that must outlive the subset. Classes stay as they are. Throws
/// Error for an index outside the set.
std::unique_ptr<Dataset> subset(const Dataset& set, std::vector<std::int64_t> indices);
/// The same; the subset shares the ownership of the set.
std::unique_ptr<Dataset> subset(std::shared_ptr<const Dataset> set,
                                std::vector<std::int64_t> indices);

/// All images of the set with other labels, one per image, of other classes; for multi-label sets
/// that is not possible.
std::unique_ptr<Dataset> relabeled(std::shared_ptr<const Dataset> set,
                                   std::vector<std::int32_t> labels,
                                   std::vector<std::string> classes);

/// ceil(fraction * N) of the N images of each class, drawn without replacement; rising indices. A
/// pure function of the set's labels, the fraction and the seed. Throws Error for a fraction
/// outside (0, 1] and for a set without labels.
std::vector<std::int64_t> draw_per_class(const Dataset& set, double fraction, std::uint64_t seed);
/// The same with min(wanted(N), N) images of a class of N.
std::vector<std::int64_t> draw_per_class(
    const Dataset& set, std::uint64_t seed,
    const std::function<std::int64_t(std::int64_t images)>& wanted);

/// The pictures as lines "CLASS/FILE,CLASS", the released code's form of a subset of ImageNet. A
/// picture whose path does not lead through its class is written as "FILE,CLASS".
std::string subset_list(const Dataset& set, const std::vector<std::int64_t>& indices);

/// The images that such a list names, in its order; lines "FILE", as in the 1percent.txt and
/// 10percent.txt of SimCLR, are read too. A name stands for the image whose path ends in it. Throws
/// Error naming list and line for a name that fits no image or several, one that is listed twice,
/// and one with another class than the set's; and for an empty list.
std::vector<std::int64_t> read_subset_list(const std::filesystem::path& list, const Dataset& set);

}  // namespace invp
