#include "invp/report/html/pictures.h"

#include <algorithm>
#include <cstring>

#include "data/images/encode.h"
#include "data/images/transform.h"
#include "engine/core/error.h"
#include "engine/core/stop.h"
#include "invp/report/html/html.h"

namespace invp {

namespace {

constexpr std::uint8_t kGray = 128;

// Artefacts show in small pictures, so single ones are encoded without subsampling of color.
constexpr JpegOptions kThumbnailJpeg{.quality = 80, .subsampling = Subsampling::k444};
constexpr JpegOptions kSheetJpeg{.quality = 75, .subsampling = Subsampling::k420};

Image load_or_gray(const Dataset& dataset, std::int64_t index, int side) {
  check_stop();
  try {
    return thumbnail(dataset.load(index), side);
  } catch (const Error&) {
    Image gray(side, side);
    std::ranges::fill(gray.pixels, kGray);
    return gray;
  }
}

}  // namespace

Image thumbnail(const Image& picture, int side) {
  const int square = std::min(picture.width, picture.height);
  const Image middle = crop(picture, center_box(picture.width, picture.height, square, square));
  return square <= side ? middle : resize(middle, side, side);
}

const std::string& Thumbnails::uri(std::int64_t index) {
  std::string& uri = made_[index];
  if (uri.empty())
    uri = jpeg_uri(encode_jpeg(load_or_gray(dataset_, index, side_), kThumbnailJpeg));
  return uri;
}

TileSheets tile_sheets(const Dataset& dataset, const std::vector<std::int64_t>& indices, int tile) {
  constexpr int kRow = TileSheets::kTilesARow;
  constexpr std::size_t kSheet = kRow * kRow;
  TileSheets sheets{.tile = tile, .uris = {}};
  for (std::size_t first = 0; first < indices.size(); first += kSheet) {
    const int count = static_cast<int>(std::min(kSheet, indices.size() - first));
    Image sheet(tile * kRow, tile * ((count + kRow - 1) / kRow));
    std::ranges::fill(sheet.pixels, kGray);
    for (int i = 0; i < count; ++i) {
      Image picture = load_or_gray(dataset, indices[first + static_cast<std::size_t>(i)], tile);
      if (picture.width != tile) picture = resize(picture, tile, tile);
      for (int row = 0; row < tile; ++row) {
        std::memcpy(sheet.at(i % kRow * tile, i / kRow * tile + row), picture.row(row),
                    picture.stride());
      }
    }
    sheets.uris.push_back(jpeg_uri(encode_jpeg(sheet, kSheetJpeg)));
  }
  return sheets;
}

}  // namespace invp
