// What protocols leave in or under a run folder and the report shows: the layer-wise table of
// `invp linear` and the points of `invp tsne`.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace invp {

/// Files called STEM.EXTENSION or STEM-NUMBER.EXTENSION in the folder or under it, at most four
/// folders deep, in order of path. Links to folders are not followed; what may not be read is
/// passed over.
std::vector<std::filesystem::path> files_named(const std::filesystem::path& folder,
                                               std::string_view stem, std::string_view extension);

/// layers.csv: a heading "tap,block,dims,MEASURE,..." and one line a tap.
struct LayerTable {
  struct Row {
    std::int64_t tap = 0;
    std::string block;
    std::int64_t dims = 0;
    std::vector<double> values;  ///< per cent, one a measure; NaN where empty
  };
  std::filesystem::path file;
  std::vector<std::string> measures;  ///< as the heading has them: "top-1", "top-5", "mAP"
  std::vector<Row> rows;
};
/// Throws Error naming the file and the line.
LayerTable read_layer_table(const std::filesystem::path& file);

/// points.safetensors: points (n, 2) f32, labels (n), indices (n) i64. Of the metadata "split" says
/// of which split the indices are ("train" where it is missing), "name" what was embedded, "kl" the
/// divergence that was left.
struct PlotPoints {
  std::filesystem::path file;
  std::string split;
  std::string name;  ///< empty: not known
  std::optional<double> divergence;
  std::vector<std::array<float, 2>> points;
  std::vector<std::int64_t> labels;
  std::vector<std::int64_t> indices;
};
/// Throws Error naming the file for missing tensors, other shapes and points that are not finite.
PlotPoints read_plot_points(const std::filesystem::path& file);

}  // namespace invp
