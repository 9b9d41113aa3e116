// Pictures of a data set small enough to travel inside a page.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/sets/dataset.h"

namespace invp {

/// The middle square of the picture, no larger than `side` pixels a side.
Image thumbnail(const Image& picture, int side);

/// Single pictures as data URIs, each made once. One that cannot be read becomes a gray square.
class Thumbnails {
 public:
  Thumbnails(const Dataset& dataset, int side) : dataset_(dataset), side_(side) {}
  const std::string& uri(std::int64_t index);

 private:
  const Dataset& dataset_;
  int side_;
  std::map<std::int64_t, std::string> made_;
};

/// Many pictures as few: square sheets of tiles, filled row by row, for a script to cut from. One
/// JPEG of a thousand tiles is half as large as a thousand JPEGs.
struct TileSheets {
  static constexpr int kTilesARow = 32;
  int tile = 0;                   ///< pixels a side
  std::vector<std::string> uris;  ///< kTilesARow x kTilesARow tiles each, the last one cut short
};
/// The tile of indices[i] is tile i. One that cannot be read is gray.
TileSheets tile_sheets(const Dataset& dataset, const std::vector<std::int64_t>& indices, int tile);

}  // namespace invp
