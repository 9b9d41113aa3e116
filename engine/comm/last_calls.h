// What ranks were doing when they lost each other, side by side.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace invp {

/// The last calls of one rank.
struct LastCalls {
  /// How many a rank tells of.
  static constexpr std::size_t kTold = 8;

  bool in_call = false;  ///< the last has not been left
  /// Numbers, counted from 1, and calls: "all_reduce gradients, 400 bytes of f32, step 12". By
  /// rising number.
  std::vector<std::pair<std::uint64_t, std::string>> calls;

  std::vector<std::string> fields() const;  ///< of a message
  static LastCalls of(const std::vector<std::string>& fields);
};

struct CallsOfRank {
  int rank = 0;
  LastCalls told;
  /// What its last heartbeat said, of a rank that tells nothing any more; else empty.
  std::string heard = {};
};

/// A line for each group of ranks that are at the same call, those of the lowest rank first:
/// "ranks 0-2: in call 812, all_reduce gradients, 400 bytes of f32, step 12". Where ranks have made
/// other calls, one more line with the first of them.
std::string side_by_side(std::span<const CallsOfRank> ranks);

/// "rank 3", "ranks 0-2, 5"; by rising number.
std::string ranks_in_words(const std::vector<int>& ranks);

}  // namespace invp
