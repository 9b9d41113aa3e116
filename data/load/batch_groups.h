// A batch cut into groups: what batch norms see at once, and what is shared out among ranks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace invp {

/// Rows [first, last).
struct RowRange {
  std::int64_t first = 0;
  std::int64_t last = 0;

  std::int64_t count() const { return last - first; }
  friend bool operator==(const RowRange&, const RowRange&) = default;
};

/// Which groups of every batch are meant: `count` of them from `first`, of `groups` in all. Or, of
/// one group, one of `pieces` pieces.
struct BatchPart {
  int groups = 1;
  int first = 0;
  int count = 1;
  int piece = 0;
  int pieces = 1;

  bool whole() const { return count == groups && pieces == 1; }
  /// Throws Error for groups or pieces that are not there.
  void check() const;
  /// Rows of a batch of `size` images, as torch.chunk parts it: groups of equal size but for the
  /// last ones, which may be smaller or empty. A group is cut into pieces in the same way.
  RowRange rows(std::int64_t size) const;
  /// How many rows of any batch of up to `size` images these can be.
  std::int64_t most_rows(std::int64_t size) const;
  /// Its groups, one by one.
  std::vector<BatchPart> each() const;
};

/// Rows of a part of a batch of `size` images, group by group, counted from the part's first.
/// `places` are the batch's rows that are left, ascending, all of them in the part.
std::vector<RowRange> rows_by_group(const BatchPart& part, std::int64_t size,
                                    std::span<const std::int64_t> places);

}  // namespace invp
