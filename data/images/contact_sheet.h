// An overview image: each row shows an original and augmented views of it.
#pragma once

#include <cstdint>
#include <span>

#include "data/images/augment.h"
#include "data/images/image.h"

namespace invp {

struct ContactSheet {
  int views = 6;   // per original
  int tile = 128;  // pixels per side
  int gap = 6;     // between tiles; between the original and its views three times that
  std::uint8_t background = 250;
};

/// Pictures alone, `columns` per row. They are shrunk to fit their tiles.
Image picture_sheet(std::span<const Image> pictures, int columns, const ContactSheet& sheet);

/// One row per original. View v of row i is drawn from Random(seed, Purpose::kAugmentation, v, i):
/// it is what training sees of image i in epoch v. Originals and views are shrunk to fit their
/// tiles.
Image contact_sheet(std::span<const Image> originals, const AugmentConfig& config,
                    std::uint64_t seed, const ContactSheet& sheet = {});

}  // namespace invp
