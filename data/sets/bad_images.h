// The images of a set that cannot be read, and how many of them are accepted.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "data/sets/dataset.h"

namespace invp {

class BadImages {
 public:
  /// `max_share` of the set's `images` are accepted. `who` begins the errors: "[loader]". Throws
  /// Error for a share outside [0, 1].
  BadImages(std::string who, double max_share, std::int64_t images);

  /// Counts each index once.
  void add(std::int64_t index, BadImage image);
  /// Throws Error, naming some of them, if there are more than accepted.
  void check() const;
  /// In the order in which they were added.
  const std::vector<BadImage>& all() const { return all_; }

 private:
  std::string who_;
  double max_share_;
  std::int64_t images_;
  std::unordered_set<std::int64_t> indices_;
  std::vector<BadImage> all_;
};

}  // namespace invp
