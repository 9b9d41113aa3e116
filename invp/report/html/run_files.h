// The files of other commands that the report shows: layers.csv of `invp linear` and
// points.safetensors of `invp tsne`.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace invp {

/// The files STEM.EXTENSION and STEM-NUMBER.EXTENSION in the folder and up to four folders below
/// it, sorted by path. Does not follow links to folders, and skips folders that cannot be read.
std::vector<std::filesystem::path> files_named(const std::filesystem::path& folder,
                                               std::string_view stem, std::string_view extension);

/// layers.csv: a heading "tap,block,dims,MEASURE,..." and one line per tap.
struct LayerTable {
  struct Row {
    std::int64_t tap = 0;
    std::string block;
    std::int64_t dims = 0;
    std::vector<double> values;  ///< per cent, one per measure; NaN where empty
  };
  std::filesystem::path file;
  std::vector<std::string> measures;  ///< as in the heading: "top1", "top5", "map"
  std::vector<Row> rows;
};
/// Throws Error naming the file and the line.
LayerTable read_layer_table(const std::filesystem::path& file);

/// points.safetensors: points (n, 2) f32, labels (n), indices (n) i64. Its metadata: "split", the
/// split that the indices are of ("train" if missing); "name", what was embedded; "kl", the final
/// divergence.
struct PlotPoints {
  std::filesystem::path file;
  std::string split;
  std::string name;  ///< empty: unknown
  std::optional<double> divergence;
  std::vector<std::array<float, 2>> points;
  std::vector<std::int64_t> labels;
  std::vector<std::int64_t> indices;
};
/// Throws Error naming the file for missing tensors, other shapes, and points that are not finite.
PlotPoints read_plot_points(const std::filesystem::path& file);

}  // namespace invp
