// Which pictures are in which batch of detection: a function of seed and iteration alone.
//
// The stream is endless: shuffled permutations of the pictures, one after another; permutation k is
// shuffled by Random(seed, kOrder, k). Of G groups, group r takes the stream's positions r, r + G,
// r + 2 G, ..., whatever the other groups take. So G processes of one group each take the pictures
// that one process with G groups takes: process r makes group r of every batch.
//
// Where a group holds several pictures, they share their orientation (wider than high, or not), so
// that little padding is needed: a group collects its positions in two buckets and is emitted when
// one of them is full.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "data/load/batch_groups.h"

namespace invp {

/// A place in a group.
struct StreamPlace {
  std::int64_t position = 0;  ///< in the stream; addresses what is drawn for the place
  std::int64_t picture = 0;   ///< row of DetectionSet::pictures
  bool operator==(const StreamPlace&) const = default;
};

class DetectionOrder {
 public:
  struct Picture {
    std::int64_t row;
    bool wide;  ///< its width exceeds its height
  };

  /// At least one picture, group, and picture a group. Of the groups, those of `part` come out.
  DetectionOrder(std::vector<Picture> pictures, const BatchPart& part,
                 std::int64_t pictures_per_group, std::uint64_t seed);

  /// next() goes on with this iteration, counted from 0. Iterations before it are replayed, which
  /// is a matter of milliseconds: indices alone are moved.
  void seek(std::int64_t iteration);
  /// The places of an iteration, group by group of the part.
  std::vector<StreamPlace> next();

 private:
  struct Lane {
    std::int64_t steps = 0;  ///< positions taken
    std::array<std::vector<StreamPlace>, 2> buckets;
  };

  void take_group(std::int64_t group, Lane& lane, std::vector<StreamPlace>& places);
  std::size_t picture_at(std::int64_t position);
  void forget_old();

  std::vector<Picture> pictures_;
  std::int64_t groups_, first_group_, per_group_;
  std::uint64_t seed_;
  std::int64_t iteration_ = 0;
  std::vector<Lane> lanes_;                                        ///< one per group of the part
  std::map<std::int64_t, std::vector<std::size_t>> permutations_;  ///< those in use
};

}  // namespace invp
