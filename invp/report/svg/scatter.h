// Maps of labelled points (t-SNE) as one SVG, side by side with one legend (supplement, Figure 2).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/core/tensor.h"

namespace invp {

struct ScatterThumbnail {
  std::int64_t point = 0;  ///< index into the panel's points
  std::string uri;         ///< a square picture, as a data URI
};

struct ScatterPanel {
  std::string title;
  std::string note;                          ///< printed after the title in gray
  Tensor points;                             ///< (n, 2) f32 on the host, finite
  std::vector<std::int64_t> labels;          ///< one per point; negative: unknown, drawn in gray
  std::vector<ScatterThumbnail> thumbnails;  ///< drawn in this order, centered on their points
};

/// Width and height of a thumbnail in pixels.
inline constexpr double kThumbnailSide = 30;

/// At most `wanted` points whose thumbnails do not overlap. Deterministic.
std::vector<std::int64_t> thumbnail_places(const Tensor& points, std::int64_t wanted);

/// Two panels per row. `classes` has the names of the labels; a label without one is called by its
/// number. Up to 12 classes have their names on the map, more have their numbers there and their
/// names in the legend. Throws Error for points and labels that do not fit and for points that are
/// not finite.
std::string scatter_svg(const std::string& title, const std::vector<ScatterPanel>& panels,
                        const std::vector<std::string>& classes);

/// The color of class `index` of `count`, "#rrggbb": neighbors differ in hue and in lightness.
std::string class_color(std::int64_t index, std::int64_t count);

}  // namespace invp
