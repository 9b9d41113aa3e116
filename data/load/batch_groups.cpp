#include "data/load/batch_groups.h"

#include <algorithm>
#include <numeric>

#include "data/load/loader.h"
#include "engine/core/error.h"

namespace invp {

namespace {

std::int64_t rows_of_group(std::int64_t size, std::int64_t groups) {
  return (size + groups - 1) / groups;
}

/// Parts [first, last) of `parts` of `size` rows.
RowRange chunks(std::int64_t size, std::int64_t parts, std::int64_t first, std::int64_t last) {
  const std::int64_t each = rows_of_group(size, parts);
  return {std::min(first * each, size), std::min(last * each, size)};
}

}  // namespace

void BatchPart::check() const {
  CHECK(first >= 0 && count >= 1 && first + count <= groups, "[loader] no groups ", first, " to ",
        first + count - 1, " of ", groups);
  CHECK(piece >= 0 && piece < pieces && (pieces == 1 || count == 1), "[loader] no piece ", piece,
        " of ", pieces, " of ", count, " groups");
}

RowRange BatchPart::rows(std::int64_t size) const {
  const RowRange all = chunks(size, groups, first, first + count);
  const RowRange here = chunks(all.count(), pieces, piece, piece + 1);
  return {all.first + here.first, all.first + here.last};
}

// A shorter batch may leave more rows for the last groups: 9 images in 4 groups are 3, 3, 3 and 0,
// but 8 are 2 each. So it is with pieces.
std::int64_t BatchPart::most_rows(std::int64_t size) const {
  return std::min(count * rows_of_group(rows_of_group(size, groups), pieces), size);
}

std::vector<BatchPart> BatchPart::each() const {
  std::vector<BatchPart> parts;
  for (int group = first; group < first + count; ++group) {
    parts.push_back(
        {.groups = groups, .first = group, .count = 1, .piece = piece, .pieces = pieces});
  }
  return parts;
}

std::vector<RowRange> rows_by_group(const BatchPart& part, std::int64_t size,
                                    std::span<const std::int64_t> places) {
  const auto place = [&](std::int64_t row) {
    return std::ranges::lower_bound(places, row) - places.begin();
  };
  std::vector<RowRange> groups;
  for (const BatchPart& group : part.each()) {
    const RowRange nominal = group.rows(size);
    groups.push_back({place(nominal.first), place(nominal.last)});
  }
  return groups;
}

std::vector<RowRange> Batch::rows(const BatchPart& part) const {
  if (planned > 0) return rows_by_group(part, planned, places);
  std::vector<std::int64_t> all(indices.size());
  std::iota(all.begin(), all.end(), 0);
  return rows_by_group(part, std::ssize(all), all);
}

}  // namespace invp
