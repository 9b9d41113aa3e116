// Some pictures of a set: what is left of the labels in semi-supervised learning, one half of a set
// that comes without a split.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "data/sets/dataset.h"

namespace invp {

/// The pictures at `indices` of a set that lives at least as long; classes stay as they are. Throws
/// Error for an index outside the set.
std::unique_ptr<Dataset> subset(const Dataset& set, std::vector<std::int64_t> indices);
/// The same, of a set that goes with it.
std::unique_ptr<Dataset> subset(std::shared_ptr<const Dataset> set,
                                std::vector<std::int64_t> indices);

/// ceil(fraction * N) of the N pictures of each class, without replacement; rising indices, a pure
/// function of the set's labels, the fraction and the seed. Throws Error for a fraction outside
/// (0, 1].
std::vector<std::int64_t> draw_per_class(const Dataset& set, double fraction, std::uint64_t seed);
/// The same, `wanted(N)` pictures of a class of N, or all where that is more.
std::vector<std::int64_t> draw_per_class(
    const Dataset& set, std::uint64_t seed,
    const std::function<std::int64_t(std::int64_t images)>& wanted);

/// Writes the pictures as lines "CLASS/FILE,CLASS", the released code's form of a subset of
/// ImageNet; where the path of a picture does not lead through its class, as "FILE,CLASS".
void write_subset_list(const std::filesystem::path& list, const Dataset& set,
                       const std::vector<std::int64_t>& indices);

/// The pictures that such a list names, in its order; also "FILE" alone, as in the 1percent.txt and
/// 10percent.txt of SimCLR. A picture is the one whose path ends in the name. Throws Error naming
/// list and line for one that the set does not have, that fits several, that is of another class
/// than the list says or stands there twice, and for an empty list.
std::vector<std::int64_t> read_subset_list(const std::filesystem::path& list, const Dataset& set);

}  // namespace invp
