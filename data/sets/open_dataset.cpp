#include "data/sets/open_dataset.h"

#include <algorithm>
#include <array>

#include "data/sets/formats.h"
#include "data/sets/pack_dataset.h"
#include "engine/core/error.h"
#include "engine/core/text.h"

namespace invp {
namespace {

namespace fs = std::filesystem;

const DatasetFormat& format_named(std::string_view name) {
  for (const DatasetFormat& format : format_table()) {
    if (format.name == name) return format;
  }
  fail("[data] unknown format \"", name, "\"; known are ", joined(dataset_formats()));
}

const DatasetFormat& format_of_file(const fs::path& file) {
  if (file.extension() == ".pack" || looks_like_pack(file)) return format_named("pack");
  const std::string extension = file.extension().string();
  CHECK(extension == ".txt" || extension == ".csv" || extension == ".lst", file.string(),
        ": a single file of unknown kind; a folder, a list (.txt, .csv) or a pack (.pack) was "
        "expected");
  return format_named("list");
}

const DatasetFormat& format_of_folder(const fs::path& folder) {
  for (const DatasetFormat& format : format_table()) {
    if (format.found != nullptr && format.found(format, folder)) return format;
  }
  CHECK(!fs::is_empty(folder), folder.string(), ": the folder is empty");
  return format_named("imagefolder");
}

const DatasetFormat& format_of(const DataSource& source) {
  const bool look = source.format == "auto";
  if (!look) {
    const DatasetFormat& format = format_named(source.format);
    if (format.name == "synthetic") return format;
  }
  CHECK(!source.path.empty(),
        "[data] no path was given: --data PATH, or --format synthetic for drawn images");
  CHECK(fs::exists(source.path), source.path.string(), ": no such file or folder; check the path");
  if (!look) return format_named(source.format);
  return fs::is_regular_file(source.path) ? format_of_file(source.path)
                                          : format_of_folder(source.path);
}

}  // namespace

const std::vector<std::string>& dataset_formats() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all = {"auto"};
    for (const DatasetFormat& format : format_table()) all.emplace_back(format.name);
    return all;
  }();
  return names;
}

std::string resolve_format(const DataSource& source) {
  return std::string(format_of(source).name);
}

std::vector<std::string> dataset_splits(const DataSource& source) {
  const DatasetFormat& format = format_of(source);
  return format.splits(format, source);
}

std::unique_ptr<Dataset> open_dataset(const DataSource& source, std::string_view split) {
  constexpr std::array<std::string_view, 4> kSplits = {"train", "val", "test", "extra"};
  CHECK(std::ranges::find(kSplits, split) != kSplits.end(), "[data] unknown split \"", split,
        "\"; there are train, val, test, and extra for svhn");
  const DatasetFormat& format = format_of(source);
  return format.open(format, source, split);
}

}  // namespace invp
