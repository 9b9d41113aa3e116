// Pictures of a data set, small enough to be embedded in a page.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/sets/dataset.h"

namespace invp {

/// The middle square of the picture, at most `side` pixels wide.
Image thumbnail(const Image& picture, int side);

/// Single pictures as data URIs, each encoded once. An image that cannot be read is a gray square.
class Thumbnails {
 public:
  Thumbnails(const Dataset& dataset, int side) : dataset_(dataset), side_(side) {}
  const std::string& uri(std::int64_t index);

 private:
  const Dataset& dataset_;
  int side_;
  std::map<std::int64_t, std::string> made_;
};

/// Many pictures as few: sheets of square tiles, filled row by row, of which a script shows parts.
struct TileSheets {
  static constexpr int kTilesARow = 32;
  int tile = 0;                   ///< width and height in pixels
  std::vector<std::string> uris;  ///< kTilesARow x kTilesARow tiles each, the last with fewer rows
};
/// Tile i shows indices[i], in gray if it cannot be read.
TileSheets tile_sheets(const Dataset& dataset, const std::vector<std::int64_t>& indices, int tile);

}  // namespace invp
