// A batch that batch norm cannot train on, found before the first step.
#pragma once

#include <cstdint>

namespace invp {

/// Batch norm has no deviation of one value per channel: one image whose last map is one pixel.
/// `last_map` is the height of that map, invp::last_map. Throws Error with the way out where an
/// epoch of `images` in batches of `batch_size`, each in `groups` parts that are normalized apart,
/// has such a part.
void check_batches(std::int64_t images, std::int64_t batch_size, std::int64_t groups, int last_map);

}  // namespace invp
