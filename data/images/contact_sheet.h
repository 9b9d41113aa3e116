// A picture to look at: each row an original beside augmented views of it.
#pragma once

#include <cstdint>
#include <span>

#include "data/images/augment.h"
#include "data/images/image.h"

namespace invp {

struct ContactSheet {
  int views = 6;   // beside each original
  int tile = 128;  // pixels a side
  int gap = 6;     // between tiles; between the original and its views three times that
  std::uint8_t background = 250;
};

/// One row an original. View v of row i is drawn from Random(seed, Purpose::kAugmentation, v, i):
/// what training would show in epoch v for sample i. Originals and views are fitted into their
/// tiles whole.
Image contact_sheet(std::span<const Image> originals, const AugmentConfig& config,
                    std::uint64_t seed, const ContactSheet& sheet = {});

}  // namespace invp
