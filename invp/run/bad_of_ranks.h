// Images that cannot be read, found by the ranks that were to read them.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "data/load/batch_feed.h"
#include "engine/comm/communicator.h"

namespace invp {

/// An image's position in the set, and what is wrong with it.
using BadOfRank = std::pair<std::int64_t, BadImage>;

/// Those that a feed has met.
std::vector<BadOfRank> bad_of_feed(BatchFeed& feed);

/// Those of all ranks, one rank's after another's. A collective call.
std::vector<BadOfRank> gather_bad(Communicator& ranks, std::span<const BadOfRank> mine);

/// Those of an evaluation that ranks share, in the order of the set. Throws Error if they are more
/// than `max_share` of `images`.
std::vector<BadImage> bad_of_evaluation(Communicator& ranks, std::span<const BadOfRank> mine,
                                        double max_share, std::int64_t images);

}  // namespace invp
