// The images of a set that cannot be read, and how many of them are accepted.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/sets/dataset.h"

namespace invp {

/// What a checkpoint keeps of a bad image.
struct BadPlace {
  std::int64_t index = 0;  ///< in the set
  std::string reason;      ///< as told; the image's name at its start left out. Empty: not known

  bool operator==(const BadPlace&) const = default;
};

class BadImages {
 public:
  /// `max_share` of the set's `images` are accepted. `who` begins the errors: "[loader]". Throws
  /// Error for a share outside [0, 1].
  BadImages(std::string who, double max_share, std::int64_t images);

  /// Counts each index once. What is said of an image that was only remembered is replaced.
  void add(std::int64_t index, BadImage image);
  /// Counts images that were bad before, in an earlier part of the run; `name_of` names them.
  void remember(const std::vector<BadPlace>& places,
                const std::function<std::string(std::int64_t)>& name_of);
  /// Throws Error, naming some of them, if there are more than accepted.
  void check() const;
  /// In the order in which they were added.
  const std::vector<BadImage>& all() const { return all_; }
  /// What is to be remembered of them, in the same order.
  std::vector<BadPlace> places() const;

 private:
  std::string who_;
  double max_share_;
  std::int64_t images_;
  std::vector<BadImage> all_;
  std::vector<std::int64_t> indices_;
  std::unordered_map<std::int64_t, std::size_t> places_;  ///< of an index in both
};

/// "3 of 100 validation images could not be read and are left out, the first: REASON".
std::string left_out_line(const std::vector<BadImage>& bad, std::int64_t images,
                          const std::string& what);

}  // namespace invp
