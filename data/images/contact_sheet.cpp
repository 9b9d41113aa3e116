#include "data/images/contact_sheet.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "data/images/transform.h"
#include "engine/core/error.h"

namespace invp {
namespace {

/// Resizes the picture to fit and puts it into the middle of the tile at (x, y).
void paste(const Image& picture, int tile, int x, int y, Image& sheet) {
  const double scale = static_cast<double>(tile) / std::max(picture.width, picture.height);
  const int width = std::max(1, static_cast<int>(std::lround(picture.width * scale)));
  const int height = std::max(1, static_cast<int>(std::lround(picture.height * scale)));
  const Image fitted = resize(picture, width, height);
  x += (tile - width) / 2;
  y += (tile - height) / 2;
  for (int row = 0; row < height; ++row) {
    std::memcpy(sheet.at(x, y + row), fitted.row(row), fitted.stride());
  }
}

}  // namespace

Image picture_sheet(std::span<const Image> pictures, int columns, const ContactSheet& sheet) {
  CHECK(!pictures.empty() && columns > 0, "[picture_sheet] there is no picture to show");
  const int count = static_cast<int>(pictures.size());
  columns = std::min(columns, count);
  const int pitch = sheet.tile + sheet.gap;
  Image out(sheet.gap + pitch * columns, sheet.gap + pitch * ((count + columns - 1) / columns));
  std::ranges::fill(out.pixels, sheet.background);
  for (int i = 0; i < count; ++i) {
    paste(pictures[static_cast<std::size_t>(i)], sheet.tile, sheet.gap + pitch * (i % columns),
          sheet.gap + pitch * (i / columns), out);
  }
  return out;
}

Image contact_sheet(std::span<const Image> originals, const AugmentConfig& config,
                    std::uint64_t seed, const ContactSheet& sheet) {
  CHECK(!originals.empty(), "[contact_sheet] there is no picture to show");
  CHECK(sheet.views >= 0 && sheet.tile > 0 && sheet.gap >= 0,
        "[contact_sheet] views and gap are not negative, tiles have pixels");
  const int rows = static_cast<int>(originals.size());
  const int pitch = sheet.tile + sheet.gap;
  const int wide_gap = 2 * sheet.gap;  // beyond the usual one
  Image out(sheet.gap + pitch * (1 + sheet.views) + (sheet.views > 0 ? wide_gap : 0),
            sheet.gap + pitch * rows);
  std::ranges::fill(out.pixels, sheet.background);
  Augmenter augmenter(config);
  for (int i = 0; i < rows; ++i) {
    const Image& original = originals[static_cast<std::size_t>(i)];
    const int y = sheet.gap + pitch * i;
    paste(original, sheet.tile, sheet.gap, y, out);
    for (int v = 0; v < sheet.views; ++v) {
      Random random(seed, Purpose::kAugmentation, static_cast<std::uint64_t>(v),
                    static_cast<std::uint64_t>(i));
      const auto parameters = draw_parameters(config, original.width, original.height, random);
      paste(augmenter.apply(original, parameters), sheet.tile,
            sheet.gap + pitch * (v + 1) + wide_gap, y, out);
    }
  }
  return out;
}

}  // namespace invp
