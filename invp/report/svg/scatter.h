// Maps of labelled points as SVG, side by side over one legend (the paper's supplement, Figure 2):
// self-contained, readable on screen and in print.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/core/tensor.h"

namespace invp {

struct ScatterThumbnail {
  std::int64_t point = 0;  ///< which of the panel's points it shows
  std::string uri;         ///< a square picture, as a data URI
};

struct ScatterPanel {
  std::string title;
  std::string note;                          ///< after the title, in gray
  Tensor points;                             ///< (n, 2) f32 on the host, finite
  std::vector<std::int64_t> labels;          ///< one a point; below 0: unknown, drawn in gray
  std::vector<ScatterThumbnail> thumbnails;  ///< drawn in the order given, centred on their points
};

/// Pixels a side of a thumbnail.
inline constexpr double kThumbnailSide = 30;

/// Points that thumbnails can be put on without covering each other, at most `wanted`, the same for
/// the same points.
std::vector<std::int64_t> thumbnail_places(const Tensor& points, std::int64_t wanted);

/// Panels two a row. `classes` names the labels; those without a name are called by their number.
/// Up to 12 classes are named on the map, more carry their number there and their name in the
/// legend. Throws Error for points and labels that do not fit and for points that are not finite.
std::string scatter_svg(const std::string& title, const std::vector<ScatterPanel>& panels,
                        const std::vector<std::string>& classes);

/// The color of class `index` of `count`, "#rrggbb": neighbors differ in hue and in lightness.
std::string class_color(std::int64_t index, std::int64_t count);

}  // namespace invp
