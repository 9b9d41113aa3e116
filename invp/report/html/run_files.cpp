#include "invp/report/html/run_files.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>

#include "engine/core/tensor.h"
#include "engine/files/safetensors.h"

namespace invp {

namespace {

namespace fs = std::filesystem;

/// The fields between commas. A field in double quotes may hold commas, and quotes written twice.
std::vector<std::string> csv_fields(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"') {
      fields.back() += line[++i];
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else if (c != '\r') {
      fields.back() += c;
    }
  }
  return fields;
}

template <class Number>
bool parses(const std::string& text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

bool read_row(const std::vector<std::string>& fields, LayerTable& table) {
  LayerTable::Row row;
  if (fields.size() != table.measures.size() + 3 || !parses(fields[0], row.tap) ||
      !parses(fields[2], row.dims)) {
    return false;
  }
  row.block = fields[1];
  for (std::size_t i = 3; i < fields.size(); ++i) {
    double value = std::numeric_limits<double>::quiet_NaN();
    if (!fields[i].empty() && !parses(fields[i], value)) return false;
    row.values.push_back(value);
  }
  table.rows.push_back(std::move(row));
  return true;
}

bool is_called(std::string_view file, std::string_view stem, std::string_view extension) {
  if (!file.starts_with(stem) || !file.ends_with(extension) ||
      file.size() < stem.size() + extension.size()) {
    return false;
  }
  file.remove_prefix(stem.size());
  file.remove_suffix(extension.size());
  return file.empty() || (file.size() > 1 && file[0] == '-' &&
                          file.find_first_not_of("0123456789", 1) == std::string_view::npos);
}

std::string noted(const TensorFile& file, const char* key, const char* otherwise) {
  const auto found = file.metadata.find(key);
  return found == file.metadata.end() ? otherwise : found->second;
}

/// The values of an i32 or i64 tensor.
std::vector<std::int64_t> whole_numbers(const TensorFile& file, const char* name,
                                        std::int64_t count, const std::string& origin) {
  const Tensor* tensor = file.find(name);
  CHECK(tensor != nullptr, origin, ": no tensor '", name, "'; was it written by invp tsne?");
  CHECK(tensor->rank() == 1 && tensor->dim(0) == count, origin, ": '", name, "' is ",
        tensor->shape(), ", not one number for each of ", count, " points");
  std::vector<std::int64_t> values;
  if (tensor->dtype() == DType::kI32) {
    for (const std::int32_t value : tensor->span<std::int32_t>()) values.push_back(value);
  } else {
    for (const std::int64_t value : tensor->span<std::int64_t>()) values.push_back(value);
  }
  return values;
}

}  // namespace

std::vector<fs::path> files_named(const fs::path& folder, std::string_view stem,
                                  std::string_view extension) {
  constexpr int kDeepest = 4;
  std::vector<fs::path> found;
  std::error_code error;
  fs::recursive_directory_iterator at(folder, fs::directory_options::skip_permission_denied, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (at.depth() == kDeepest) at.disable_recursion_pending();
    std::error_code ignored;
    if (is_called(at->path().filename().string(), stem, extension) &&
        at->is_regular_file(ignored)) {
      found.push_back(at->path());
    }
  }
  std::ranges::sort(found);
  return found;
}

LayerTable read_layer_table(const fs::path& file) {
  std::ifstream in(file);
  CHECK(in.is_open(), file.string(), ": cannot be read");
  LayerTable table{.file = file, .measures = {}, .rows = {}};
  std::string line;
  std::getline(in, line);
  const std::vector<std::string> heading = csv_fields(line);
  CHECK(heading.size() >= 4 && heading[0] == "tap", file.string(),
        ":1: not the heading of a layer table: tap, block, dims and one measure at least");
  table.measures.assign(heading.begin() + 3, heading.end());
  for (std::int64_t number = 2; std::getline(in, line); ++number) {
    if (line.find_first_not_of(" \r") == std::string::npos) continue;
    CHECK(read_row(csv_fields(line), table), file.string(), ":", number,
          ": not a line of a layer table");
  }
  CHECK(!table.rows.empty(), file.string(), ": has no line but the heading");
  return table;
}

PlotPoints read_plot_points(const fs::path& path) {
  const TensorFile file = read_safetensors(path);
  const Tensor* points = file.find("points");
  CHECK(points != nullptr && points->dtype() == DType::kF32 && points->rank() == 2 &&
            points->dim(1) == 2,
        path.string(), ": no tensor 'points' of shape (n, 2); was it written by invp tsne?");
  const std::int64_t count = points->dim(0);
  PlotPoints plot{.file = path,
                  .split = noted(file, "split", "train"),
                  .name = noted(file, "name", ""),
                  .divergence = {},
                  .points = {},
                  .labels = whole_numbers(file, "labels", count, path.string()),
                  .indices = whole_numbers(file, "indices", count, path.string())};
  if (double kl = 0; parses(noted(file, "kl", ""), kl)) plot.divergence = kl;
  const std::span<const float> values = points->span<float>();
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    plot.points.push_back({values[2 * i], values[2 * i + 1]});
    CHECK(std::isfinite(values[2 * i]) && std::isfinite(values[2 * i + 1]), path.string(),
          ": point ", i, " is not finite");
  }
  return plot;
}

}  // namespace invp
