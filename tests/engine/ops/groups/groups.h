// Maps of groups for tests.
#pragma once

#include "engine/ops/groups/map_groups.h"
#include "tests/support/values.h"

namespace invp::testing {

/// Random maps of these sizes, an f32 leaf.
inline MapGroups random_groups(std::uint64_t seed, std::vector<MapSize> sizes,
                               std::int64_t channels, Device device) {
  const std::int64_t rows = rows_of(sizes);
  return {.rows = leaf(random_values(seed, rows * channels), {rows, channels}, device),
          .sizes = std::move(sizes)};
}

}  // namespace invp::testing
